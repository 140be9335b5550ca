// The tasks as a table of which only the rows in sight exist.

const LINE = 24;

class TaskTable {
  // `choose(task)` is told what was clicked or moved to.
  constructor(model, choose) {
    Object.assign(this, { model, choose });
    this.tasks = [];
    this.selected = -1;
    this.sort = { column: 'created', down: false };
    this.columns = this.described();
    [this.grid, this.scroller, this.spacer, this.visible] = ['grid', 'scroller', 'spacer', 'visible'].map(byId);
    this.heads();
    this.scroller.addEventListener('scroll', () => this.draw(), { passive: true });
    this.visible.addEventListener('click', (event) => {
      const row = event.target.closest('[role=row]');
      if (row) this.choose(this.tasks[+row.dataset.at]);
    });
    this.grid.addEventListener('keydown', (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(this.scroller);
  }

  // Of each column: its name, what it sorts by and what it shows of a task.
  described() {
    const { model } = this;
    const { tasks } = model;
    const text = (column) => (task) => model.text(tasks[column][task]);
    const number = (of) => [of, (task) => (of(task) ? count(of(task)) : '')];
    const times = (of) => [of, (task) => (of(task) < 0 ? '' : span(of(task)))];
    const wait = (task) => (tasks.claimed[task] < 0 ? -1 : tasks.claimed[task] - tasks.created[task]);
    const took = (task) => (tasks.ended[task] < 0 ? -1 : tasks.ended[task] - tasks.created[task]);
    const name = (task) => tasks.name[task];
    const short = this.oneNamespace() ? (task) => name(task).slice(name(task).indexOf('/') + 1) : name;
    const plain = (of) => [of, of];
    const all = [['task', 'minmax(96px, 1fr)', name, short], ['class', '64px', ...plain(text('class'))],
      ['phase', '86px', ...plain(text('phase'))], ['verdict', '64px', ...plain(text('verdict'))],
      ['node', 'minmax(58px, 0.4fr)', ...plain(text('node'))], ['tries', '36px', ...number((task) => tasks.attempts[task])],
      ['refused', '52px', ...number((task) => model.conflicts[task])],
      ['violated', '54px', ...number((task) => model.violated[task])],
      ['created', '60px', ...times((task) => tasks.created[task])], ['wait', '56px', ...times(wait)], ['took', '56px', ...times(took)]];
    // What is the same everywhere says nothing.
    const optional = new Set(['class', 'refused', 'violated']);
    const says = ([title, , by]) => !optional.has(title) || Array.from(model.tasks.name, (_, task) => by(task))
      .some((value, _, values) => value !== values[0] || (title !== 'class' && value));
    return all.filter(says).map(([title, width, by, shown]) => ({ title, width, by, shown,
      right: model.size > 0 && typeof by(0) === 'number' }));
  }

  // Then a task is told by its name alone.
  oneNamespace() {
    return new Set((this.model.tasks.name).map((name) => name.split('/')[0])).size <= 1;
  }

  heads() {
    this.grid.style.setProperty('--columns', this.columns.map(({ width }) => width).join(' '));
    for (const { title, right } of this.columns) {
      const button = element('button', { textContent: title, tabIndex: -1, title: `Sort by ${title}` });
      button.addEventListener('click', () => this.sortBy(title));
      byId('columns').append(element('div', { role: 'columnheader', className: `is-${title}${right ? ' right' : ''}` }, button));
    }
  }

  sortBy(title) {
    this.sort = { column: title, down: this.sort.column === title && !this.sort.down };
    this.order();
  }

  show(tasks) {
    this.tasks = tasks;
    this.order();
  }

  order() {
    const { by } = this.columns.find(({ title }) => title === this.sort.column);
    const keys = new Map(this.tasks.map((task) => [task, by(task)]));
    const way = this.sort.down ? -1 : 1;
    const collator = new Intl.Collator('en', { numeric: true });
    const compare = (one, other) => (typeof one === 'string' ? collator.compare(one, other) : one - other);
    this.tasks.sort((a, b) => way * compare(keys.get(a), keys.get(b)) || a - b);
    byId('columns').childNodes.forEach((head, at) => {
      const mine = this.columns[at].title === this.sort.column;
      head.setAttribute('aria-sort', mine ? (this.sort.down ? 'descending' : 'ascending') : 'none');
    });
    this.grid.setAttribute('aria-rowcount', this.tasks.length + 1);
    this.spacer.style.height = `${this.tasks.length * LINE}px`;
    this.draw();
  }

  draw() {
    const from = Math.max(Math.floor(this.scroller.scrollTop / LINE) - 4, 0);
    const to = Math.min(from + Math.ceil(this.scroller.clientHeight / LINE) + 8, this.tasks.length);
    this.visible.style.transform = `translateY(${from * LINE}px)`;
    this.visible.replaceChildren(...this.tasks.slice(from, to).map((task, at) => this.row(task, from + at)));
    byId('columns').style.transform = `translateX(${-this.scroller.scrollLeft}px)`;
  }

  row(task, at) {
    const chosen = task === this.selected;
    const row = element('div', { role: 'row', id: `row-${task}`, 'aria-rowindex': at + 2, 'aria-selected': chosen });
    row.dataset.at = at;
    if (chosen) this.grid.setAttribute('aria-activedescendant', row.id);
    for (const { title, shown, right } of this.columns) {
      const cell = element('div', { role: 'gridcell', className: `is-${title}${right ? ' right' : ''}`, textContent: shown(task) });
      if (title === 'task') cell.title = this.model.tasks.name[task];
      if (title === 'phase') cell.prepend(element('i', { className: `key ${OUTCOMES[shown(task)] || 'going'}` }));
      row.append(cell);
    }
    return row;
  }

  select(task) {
    this.selected = task;
    const at = this.tasks.indexOf(task);
    const top = at * LINE;
    if (at >= 0 && (top < this.scroller.scrollTop || top + LINE > this.scroller.scrollTop + this.scroller.clientHeight)) {
      this.scroller.scrollTop = Math.max(top - this.scroller.clientHeight / 2, 0);
    }
    if (at < 0) this.grid.removeAttribute('aria-activedescendant');
    this.draw();
  }

  key(event) {
    const page = Math.max(Math.floor(this.scroller.clientHeight / LINE) - 1, 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity }[event.key];
    if (by === undefined || !this.tasks.length || event.target.tagName === 'BUTTON') return;
    event.preventDefault();
    const at = this.tasks.indexOf(this.selected);
    const to = at < 0 && Number.isFinite(by) ? 0 : at + by;
    this.choose(this.tasks[Math.min(Math.max(to, 0), this.tasks.length - 1)]);
  }
}
