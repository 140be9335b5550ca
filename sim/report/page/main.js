// The parts of the page put together: what one of them chooses, the others show.

class Report {
  constructor(model) {
    this.model = model;
    this.view = new View(model.end);
    this.story = new Story(byId('story'), model);
    this.tooltip = new Tooltip(byId('tip'), model, this.story);
    this.timeline = new Timeline(byId('timeline'), model, this.view);
    this.overview = new Overview(byId('overview'), model, this.view);
    this.table = new TaskTable(model, (task) => this.select(task));
    this.filter = new Filter(model);
    new Pointer(this.timeline, (found, x, y) => this.hover(found, x, y), (found) => this.choose(found));
    this.view.changed = () => this.moved();
    this.story.hover = (row) => this.event(row);
    this.story.choose = (row) => this.centre(model.rows.t[row], this.timeline.selected);
    summarised(model);
    wrongs(model, (t, task, lane) => this.goTo(t, task, lane));
    this.wire();
    this.story.show(-1);
    this.tab('summary');
    this.sift();
    const { task, stretch } = remembered(model);
    if (task >= 0) this.select(task);
    if (stretch) this.view.show(...stretch);
    this.timeline.draw();
    this.overview.draw(this.timeline.painter.gutter);
    addEventListener('resize', () => this.moved());
  }

  wire() {
    const buttons = { in: () => this.zoom(1 / ZOOM ** 2), out: () => this.zoom(ZOOM ** 2), reset: () => this.reset(),
      next: () => this.mark(1), previous: () => this.mark(-1), taller: () => this.taller(), copy: () => this.copy() };
    for (const [id, deed] of Object.entries(buttons)) byId(id).addEventListener('click', deed);
    for (const name of ['summary', 'wrong', 'story']) byId(`tab-${name}`).addEventListener('click', () => this.tab(name));
    byId('tabs').addEventListener('keydown', (event) => this.tabKey(event));
    byId('which-tasks').append(...this.filter.choices().map(([value, label]) => element('option', { value, textContent: label })));
    byId('filter').addEventListener('input', () => this.sift());
    byId('which-tasks').addEventListener('change', () => this.sift());
    addEventListener('keydown', (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input, select')) {
      if (event.key === 'Escape') byId('timeline').focus();
      return;
    }
    const deeds = { '/': () => byId('filter').focus(), 0: () => this.reset(), n: () => this.mark(1), p: () => this.mark(-1),
      ']': () => this.taller(), Escape: () => this.select(-1) };
    if (!deeds[event.key]) return;
    event.preventDefault();
    deeds[event.key]();
  }

  moved() {
    this.timeline.later();
    this.overview.draw(this.timeline.painter.gutter);
    remember(this.model, this.view, this.timeline.selected);
  }

  zoom(factor) { this.view.zoom(factor, (this.view.from + this.view.to) / 2); }

  reset() {
    this.timeline.lanes.scale = 1;
    this.view.reset();
  }

  // Lanes twice as high, and so on, until they are as low as at first.
  taller() {
    const { lanes } = this.timeline;
    lanes.scale = lanes.row >= HIGHEST * 2 || lanes.scale >= 8 ? 1 : lanes.scale * 2;
    this.timeline.later();
  }

  sift() {
    this.filter.text = byId('filter').value;
    this.filter.choice = byId('which-tasks').value;
    const tasks = this.filter.pass();
    this.timeline.painter.shown = this.filter.all ? null : new Set(tasks);
    byId('count').textContent = `${count(tasks.length)} of ${count(this.model.size)}`;
    this.table.show(tasks);
    this.timeline.later();
  }

  // Shows one task everywhere; -1: none. `t`: the moment that matters.
  select(task, t) {
    this.timeline.selected = task;
    this.table.select(task);
    this.story.show(task);
    this.timeline.event = -1;
    if (task >= 0) {
      this.tab('story');
      const bars = this.model.barsOf[task];
      const { begin, finish } = this.model.bars;
      const bar = bars[bars.length - 1];
      this.timeline.reveal(task, t ?? (bar === undefined ? this.model.tasks.created[task] : (begin[bar] + finish[bar]) / 2));
    }
    this.moved();
  }

  choose(found) {
    if (!found || found.label) return;
    const { mark, bar, t } = found;
    if (mark) this.chooseMark(mark);
    else if (bar >= 0) this.select(this.model.bars.task[bar], t);
    else this.select(-1);
  }

  chooseMark({ sort, place }) {
    const table = { refused: this.model.refused, violation: this.model.violations }[sort];
    if (!table || table.task[place] < 0) {
      this.tab('wrong');
      return;
    }
    this.select(table.task[place], table.t[place]);
    if (sort === 'refused') this.event(table.row[place], true);
  }

  // The object under the pointer, and what led to its state.
  hover(found, x = 0, y = 0) {
    const box = this.timeline.canvas.getBoundingClientRect();
    if (found) this.tooltip.show(found, box.left + x, box.top + y);
    else this.tooltip.hide();
    const { task, row } = this.pointed(found);
    this.timeline.hovered = task;
    this.event(row);
    this.timeline.canvas.style.cursor = found && (found.mark || found.bar >= 0) ? 'pointer' : 'grab';
  }

  pointed(found) {
    const { bars, refused, violations } = this.model;
    if (found && found.mark) {
      const { sort, place } = found.mark;
      if (sort === 'refused' && refused.row[place] >= 0) return { task: refused.task[place], row: refused.row[place] };
      const task = sort === 'violation' ? violations.task[place] : -1;
      return { task, row: task < 0 ? -1 : this.model.writeAt(task, violations.t[place]) };
    }
    if (!found || !(found.bar >= 0)) return { task: -1, row: -1 };
    const task = bars.task[found.bar];
    return { task, row: this.model.writeAt(task, Math.min(Math.max(found.t, bars.begin[found.bar]), bars.finish[found.bar])) };
  }

  event(row, scroll = false) {
    this.timeline.event = row;
    const line = this.story.mark(row);
    if (line && scroll) line.scrollIntoView({ block: 'nearest' });
    this.timeline.later();
  }

  centre(t, task) {
    const half = (this.view.to - this.view.from) / 2;
    this.view.show(t - half, t + half);
    if (task >= 0) this.timeline.reveal(task, t);
  }

  // To that moment, of a task, of a lane or of neither.
  goTo(t, task, lane) {
    if (task >= 0) this.select(task, t);
    if (lane >= 0) this.timeline.lanes.reveal(lane);
    this.centre(t, task);
  }

  // The next thing that is marked, seen from the middle, or of the whole run the first or the last.
  mark(way) {
    const { from, to, whole } = this.view;
    const middle = whole ? (way > 0 ? from : to) : Math.round((from + to) / 2);
    const marks = this.model.marks.filter(({ t }) => (way > 0 ? t > middle : t < middle));
    const found = way > 0 ? marks[0] : marks[marks.length - 1];
    if (!found) return;
    if (this.view.whole) this.view.zoom(1 / 16, found.t);
    const { sort, place, t } = found;
    const lane = { fault: this.model.faults, refused: this.model.refused }[sort]?.lane[place] ?? this.model.laneOfViolation(place);
    if (lane >= 0) this.timeline.lanes.reveal(lane);
    this.centre(t, -1);
  }

  tab(name) {
    for (const each of ['summary', 'wrong', 'story']) {
      byId(each).hidden = each !== name;
      byId(`tab-${each}`).setAttribute('aria-selected', each === name);
      byId(`tab-${each}`).tabIndex = each === name ? 0 : -1;
    }
  }

  tabKey(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const names = ['summary', 'wrong', 'story'];
    const at = names.findIndex((name) => !byId(name).hidden);
    const to = names[(at + by + names.length) % names.length];
    this.tab(to);
    byId(`tab-${to}`).focus();
    event.stopPropagation();
  }

  async copy() {
    const text = byId('replay').textContent;
    try {
      await navigator.clipboard.writeText(text);
      byId('copied').textContent = 'copied';
    } catch {
      getSelection().selectAllChildren(byId('replay'));
      byId('copied').textContent = document.execCommand('copy') ? 'copied' : 'selected: press Ctrl+C';
    }
  }
}

decoded().then((data) => {
  window.report = new Report(new Model(data)); // for the console
  requestAnimationFrame(() => {
    performance.mark('interactive');
    document.documentElement.dataset.ready = 'yes';
  });
}).catch((error) => {
  byId('notes').hidden = false;
  byId('notes').textContent = `This page cannot show its run: ${error.message}`;
  throw error;
});
