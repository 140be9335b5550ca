// What the run came to, and all that went wrong in it.

const VERDICTS = { ok: '✓ ok', crash: '✕ crashed', safety: '✕ safety violated', liveness: '✕ liveness violated',
  expectation: '✕ not as expected', interrupted: '… interrupted', unknown: '? unknown' };
const SHOWN = 500;

function summarised(model) {
  const { head } = model;
  byId('scenario').textContent = head.scenario;
  byId('verdict').textContent = VERDICTS[head.verdict] || head.verdict;
  byId('verdict').classList.add(head.verdict === 'ok' ? 'ok' : 'wrong');
  byId('which').textContent = `seed ${head.seed} · policy ${head.policy}`;
  byId('about').textContent = head.about;
  byId('replay').textContent = head.replay;
  byId('made').textContent = `Foreman ${head.version}`;
  byId('notes').hidden = !head.notes.length;
  byId('notes').textContent = head.notes.join(' ');
  figures(model);
  const rows = head.words.map(([name, text]) => [element('dt', { textContent: name }), element('dd', { textContent: text })]);
  byId('summary').replaceChildren(element('dl', { className: 'words' }, ...rows.flat()), ...expectations(head));
}

function figures(model) {
  const { head, violations, faults, refused } = model;
  const { figures: known } = head;
  const struck = faults.over.filter((over) => !over).length;
  const told = [['tasks', count(model.size)], ['wait, median', known.p50], ['wait, 95%', known.p95], ['in use', known.utilisation],
    ['virtual time', known.virtual || span(model.end)], ['writes refused', count(refused.t.length)],
    ['faults', count(struck)], ['violations', count(violations.t.length)]];
  for (const [name, value] of told) {
    if (value === undefined) continue;
    const bad = name === 'violations' && value !== '0';
    byId('figures').append(element('div', { className: bad ? 'bad' : '' }, element('dd', { textContent: value }),
      element('dt', { textContent: name })));
  }
}

function expectations(head) {
  const made = head.expect.map(([path, wanted, unmet]) => element('li', { className: unmet ? 'wrong' : 'ok' },
    `${unmet ? '✕' : '✓'} ${path} ${wanted}`, element('span', { className: 'muted', textContent: unmet ? ` ${unmet}` : '' })));
  const crashes = head.crashes.map((crash) => element('li', { className: 'wrong', textContent: `✕ ${crash}` }));
  const lists = [];
  if (crashes.length) lists.push(element('h2', { textContent: 'Crashed' }), element('ul', {}, ...crashes));
  if (made.length) lists.push(element('h2', { textContent: 'Expected' }), element('ul', { id: 'expect' }, ...made));
  return lists;
}

// `go(t, task, lane)`: told what was clicked.
function wrongs(model, go) {
  const { violations, faults } = model;
  const panel = byId('wrong');
  const list = (title, lines) => {
    if (!lines.length) return [element('p', { className: 'muted', textContent: `No ${title.toLowerCase()}.` })];
    const shown = lines.slice(0, SHOWN).map(({ t, task, lane, text, sort }) => {
      const button = element('button', { className: sort }, element('span', { className: 'mono', textContent: clock(t) }), ` ${text}`);
      button.addEventListener('click', () => go(t, task, lane));
      return element('li', {}, button);
    });
    const rest = lines.length - SHOWN;
    const more = rest > 0 ? [element('li', { className: 'muted', textContent: `and ${count(rest)} more` })] : [];
    return [element('h2', { textContent: `${title} (${count(lines.length)})` }), element('ul', {}, ...shown, ...more)];
  };
  const broken = Array.from(violations.t, (t, at) => ({ t, task: violations.task[at], lane: model.laneOfViolation(at), sort: 'violation',
    text: `${model.text(violations.about[at])}: ${model.text(violations.text[at])}` }));
  const struck = Array.from(faults.t, (t, at) => ({ t, task: -1, lane: faults.lane[at], sort: 'fault',
    text: `${model.text(faults.actor[at])}: ${model.text(faults.detail[at])}` }));
  panel.replaceChildren(...list('Violations', broken), ...list('Faults', struck));
  byId('tab-wrong').textContent = `Faults and violations (${count(struck.length + broken.length)})`;
}
