// The story of a task: what `foreman sim story` prints, line by line.

const STORY = ['time', 'actor', 'request', 'version', 'known by', 'outcome', 'detail'];

class Story {
  // `hover(row)`: -1 for none; `choose(row)`.
  constructor(panel, model) {
    Object.assign(this, { panel, model });
    this.hover = this.choose = () => {};
  }

  cells(row) {
    const { rows } = this.model;
    const text = (column) => this.model.text(rows[column][row]);
    return [clock(rows.t[row]), text('actor'), text('what'), this.versions(row), text('known'), text('outcome'), text('detail')];
  }

  versions(row) {
    const [read, written] = ['read', 'version'].map((name) => this.model.rows[name][row]).map((n) => (n < 0 ? 'any' : n || ''));
    if (!read || !written) return String(read || written);
    return read === written ? `${read} (no change)` : `${read} -> ${written}`;
  }

  // The task's rows, as { row }, and the faults of those who had to do with it, as { fault }, in order.
  lines(task) {
    const { model } = this;
    const { rows, faults } = model;
    const lines = [];
    const hosts = new Set();
    for (let row = model.rowsFrom(task); row < model.rowsTo(task); row++) {
      lines.push({ seq: rows.seq[row], row });
      const what = model.text(rows.what[row]);
      if (WRITES.has(what) || what === 'execute') hosts.add(model.text(rows.actor[row]).split('/')[0]);
    }
    const told = new Set(model.tell_all);
    hosts.forEach((host) => (model.told[model.laneOf.get(host)] || []).forEach((fault) => told.add(fault)));
    told.forEach((fault) => lines.push({ seq: faults.seq[fault], fault }));
    return lines.sort((a, b) => a.seq - b.seq);
  }

  faultCells(fault) {
    const { faults } = this.model;
    const text = (column) => this.model.text(faults[column][fault]);
    return [clock(faults.t[fault]), text('actor'), 'fault', '', '', '', text('detail')];
  }

  show(task) {
    if (task < 0) {
      this.panel.replaceChildren(element('p', { className: 'muted', textContent: 'Choose a task, in the table or in the timeline.' }));
      return;
    }
    const body = element('tbody');
    for (const { row, fault } of this.lines(task)) {
      const cells = fault === undefined ? this.cells(row) : this.faultCells(fault);
      const style = fault === undefined ? this.model.text(this.model.rows.style[row]) : 'magenta';
      const line = element('tr', { className: style, role: 'row' },
        ...cells.map((cell) => element('td', { role: 'cell', textContent: cell })));
      if (fault === undefined) this.listen(line, row);
      body.append(line);
    }
    const head = element('tr', { role: 'row' },
      ...STORY.map((name) => element('th', { role: 'columnheader', textContent: name })));
    this.panel.replaceChildren(this.heading(task), element('table', { role: 'table' }, element('thead', {}, head), body));
    this.panel.scrollTop = 0;
  }

  heading(task) {
    const { tasks, head } = this.model;
    const text = (column) => this.model.text(tasks[column][task]);
    const facts = [text('class'), text('workload') && `of ${text('workload')}`, `priority ${tasks.priority[task]}`,
      text('accelerator') !== 'any' && `needs ${text('accelerator')}`, tasks.ram_gb[task] && `${tasks.ram_gb[task]} GiB`,
      text('depends_on') && `after ${text('depends_on')}`].filter(Boolean).join(', ');
    const name = tasks.name[task];
    const command = head.story && `${head.story} ${/^[\w@%+=:,./-]+$/.test(name) ? name : `'${name.replaceAll("'", `'"'"'`)}'`}`;
    return element('div', { className: 'heading' }, element('h2', { textContent: name }),
      element('p', { className: 'muted', textContent: facts }),
      element('p', {}, element('code', { textContent: command || '' })));
  }

  listen(line, row) {
    line.id = `story-${row}`;
    line.tabIndex = 0;
    for (const name of ['mouseenter', 'focus']) line.addEventListener(name, () => this.hover(row));
    for (const name of ['mouseleave', 'blur']) line.addEventListener(name, () => this.hover(-1));
    line.addEventListener('click', () => this.choose(row));
    line.addEventListener('keydown', (event) => { if (event.key === 'Enter') this.choose(row); });
  }

  // Shows which line is meant.
  mark(row) {
    this.panel.querySelectorAll('.marked').forEach((line) => line.classList.remove('marked'));
    const line = row >= 0 && byId(`story-${row}`);
    if (line) line.classList.add('marked');
    return line;
  }
}
