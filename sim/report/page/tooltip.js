// What is under the pointer, as it was at that moment.

class Tooltip {
  constructor(box, model, story) {
    Object.assign(this, { box, model, story });
  }

  hide() { this.box.hidden = true; }

  show(found, x, y) {
    const told = this.told(found);
    if (!told) {
      this.hide();
      return;
    }
    const [title, facts, lines] = told;
    this.box.replaceChildren(element('strong', { textContent: title }));
    const list = element('dl');
    for (const [name, value] of facts) {
      if (value !== '' && value !== null && value !== 0) {
        list.append(element('dt', { textContent: name }), element('dd', { textContent: value }));
      }
    }
    this.box.append(list, ...lines.filter(Boolean).map((line) => element('p', { textContent: line })));
    this.box.hidden = false;
    this.put(x, y);
  }

  put(x, y) {
    const { offsetWidth, offsetHeight } = this.box;
    const left = x + 16 + offsetWidth > innerWidth ? x - offsetWidth - 12 : x + 16;
    this.box.style.left = `${Math.max(left, 4)}px`;
    this.box.style.top = `${Math.max(Math.min(y + 16, innerHeight - offsetHeight - 4), 4)}px`;
  }

  told(found) {
    if (!found) return null;
    if (found.mark) return this[found.mark.sort](found.mark.place);
    if (found.bar >= 0) return this.attempt(found.bar, found.t);
    return this.host(found.lane, found.label ? this.model.end : found.t, found.label);
  }

  attempt(bar, t) {
    const { bars } = this.model;
    // A bar may be narrower than the pointer is exact.
    const at = Math.round(Math.min(Math.max(t, bars.begin[bar]), bars.finish[bar]));
    return this.task(bars.task[bar], at);
  }

  task(task, t) {
    const state = this.model.stateAt(task, t);
    const name = this.model.tasks.name[task];
    if (!state) return [name, [['at', clock(t)]], ['not created yet']];
    const facts = [['at', clock(t)], ['phase', state.phase], ['attempt', state.attempt], ['node', state.node],
      ['holder', state.holder], ['verdict', state.verdict], ['resourceVersion', state.version]];
    return [name, facts, this.followed(state.write)];
  }

  // The event and what it followed from, in words.
  followed(row) {
    if (row < 0) return [];
    const { rows } = this.model;
    const [time, actor, what, versions, known, outcome, detail] = this.story.cells(row);
    const lines = [`${time} ${actor} ${what} ${versions} ${outcome} ${detail}`];
    if (rows.from[row]) {
      const source = this.story.cells(row - rows.from[row]);
      lines.push(`after ${source[1]} had written ${rows.read[row]} at ${source[0]}${known ? `; known by ${known}` : ''}`);
    }
    return lines;
  }

  refused(place) {
    const { refused, tasks } = this.model;
    const row = refused.row[place];
    const title = `${this.model.text(refused.outcome[place])}: write refused`;
    const facts = [['at', clock(refused.t[place])]];
    if (row < 0) return [title, facts, [this.model.text(refused.text[place])]];
    const task = refused.task[place];
    const state = this.model.stateAt(task, refused.t[place]);
    const known = state ? [['phase', state.phase], ['attempt', state.attempt], ['holder', state.holder],
      ['resourceVersion', state.version]] : [];
    return [title, [['task', tasks.name[task]], ...facts, ...known], this.followed(row)];
  }

  fault(place) {
    const { faults } = this.model;
    const facts = [['at', clock(faults.t[place])], ['struck', this.model.text(faults.actor[place])]];
    if (faults.until[place] >= faults.t[place]) facts.push(['for', span(faults.until[place] - faults.t[place])]);
    return [`fault: ${this.model.text(faults.detail[place])}`, facts, []];
  }

  violation(place) {
    const { violations } = this.model;
    const facts = [['at', clock(violations.t[place])], ['about', this.model.text(violations.about[place])]];
    const [title, ...rest] = this.model.text(violations.text[place]).split(': ');
    return [`violated: ${title}`, facts, [rest.join(': '), ...this.stateOf(place)]];
  }

  stateOf(place) {
    const { violations } = this.model;
    const task = violations.task[place];
    const state = task < 0 ? null : this.model.stateAt(task, violations.t[place]);
    return state ? [`${state.phase}, attempt ${state.attempt}, held by ${state.holder || 'nobody'}, version ${state.version}`] : [];
  }

  host(lane, t, whole) {
    if (!whole && (t < 0 || t > this.model.end)) return null;
    const node = this.model.nodeAt(lane, t);
    const facts = [[whole ? 'at the end' : 'at', clock(Math.round(t))]];
    if (node) {
      facts.push(['phase', node.phase], ['slots', node.slots && `${this.model.runningAt(lane, t).length} of ${node.slots} in use`]);
      facts.push(['accelerator', node.accelerator], ['RAM', node.ram && `${node.ram} GiB`]);
    }
    return [this.model.lanes.name[lane], facts, []];
  }
}
