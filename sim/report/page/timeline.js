// The timeline: draws itself when something has changed, and knows what is at a point of it.

class Timeline {
  constructor(canvas, model, view) {
    Object.assign(this, { canvas, model, view });
    this.lanes = new Lanes(model);
    this.painter = new Painter(model, view, this.lanes);
    this.marks = new Marks(this.painter);
    this.arrows = new Arrows(this.painter);
    this.selected = -1;
    this.event = -1; // the row whose causes are drawn
    this.hovered = -1; // the task under the pointer
    this.drawn = [];
    this.after = () => {};
    canvas.setAttribute('aria-label', `Timeline of ${count(model.size)} tasks on ${count(this.lanes.rows.length)} hosts`);
    new ResizeObserver(() => this.draw()).observe(canvas.parentElement);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.later());
    view.changed = () => this.later();
  }

  later() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.draw());
  }

  sized() {
    const { clientWidth, clientHeight } = this.canvas.parentElement;
    const density = window.devicePixelRatio || 1;
    if (this.canvas.width !== clientWidth * density || this.canvas.height !== clientHeight * density) {
      this.canvas.width = clientWidth * density;
      this.canvas.height = clientHeight * density;
    }
    this.painter.gutter = clientWidth < 900 ? 84 : 112;
    this.view.width = Math.max(clientWidth - this.painter.gutter - 8, 10);
    this.lanes.fit(AXIS, clientHeight - AXIS);
    const context = this.canvas.getContext('2d');
    context.setTransform(density, 0, 0, density, 0, 0);
    return [context, clientWidth, clientHeight];
  }

  draw() {
    this.waiting = false;
    const { painter, lanes } = this;
    painter.begin(...this.sized());
    painter.selected = this.selected;
    this.drawn = [];
    const drawn = (mark) => this.drawn.push(mark);
    const [from, to] = lanes.visible();
    const scrolled = (lane) => lane >= Math.max(from, lanes.pinned) && lane < to;
    painter.clipped(0, () => painter.axis());
    this.band(lanes.split, scrolled, Math.max(from, lanes.pinned), to, drawn);
    if (lanes.pinned) this.pinnedBand(drawn);
    painter.clipped(0, () => this.marks.rail(drawn));
    painter.clipped(0, () => this.arrows.draw(this.hovered < 0 ? this.selected : this.hovered, this.event));
    this.tell();
    this.after();
  }

  // The lanes from..to, kept below `top`.
  band(top, within, from, to, drawn) {
    const { painter } = this;
    const each = (draw) => { for (let lane = from; lane < to; lane++) draw(lane); };
    painter.clipped(top, () => {
      this.marks.spans(within);
      each((lane) => painter.lane(lane));
      this.marks.points(within, drawn);
    });
    let last = top - 6;
    each((lane) => { last = painter.label(lane, last); });
  }

  pinnedBand(drawn) {
    const { lanes, painter } = this;
    const { context, colour } = painter;
    this.band(AXIS, (lane) => lane < lanes.pinned, 0, lanes.pinned, drawn);
    context.fillStyle = colour.line;
    context.fillRect(0, lanes.split - 3, painter.width, 1);
  }

  // For who cannot see the canvas, and for tests.
  tell() {
    const { from, to } = this.view;
    Object.assign(this.canvas.dataset, { from: Math.round(from), to: Math.round(to), arrows: this.arrows.drawn,
      marks: this.drawn.length, task: this.selected < 0 ? '' : this.model.tasks.name[this.selected] });
    byId('range').textContent = `${span(to - from)} from ${exact(Math.max(Math.floor(from / 1e3) * 1e3, 0))}`;
  }

  // What is at the point: { mark } or { bar } or { lane }, each with `t`; null beside all lanes.
  at(x, y) {
    const t = this.view.t(x - this.painter.gutter);
    const distance = (mark) => Math.hypot(mark.x - x, mark.y - y);
    const near = this.drawn.filter((mark) => distance(mark) <= mark.size + 1).sort((a, b) => distance(a) - distance(b));
    if (near.length) return { t, mark: near[0] };
    const where = this.lanes.at(y);
    if (!where || x < this.painter.gutter) return where && { t, lane: where.lane, label: true };
    return { t, lane: where.lane, bar: this.barNear(where, t) };
  }

  barNear({ lane, row }, t) {
    const bars = this.model.rowsOf[lane][row];
    const slack = 2 * this.view.perPixel;
    const at = this.painter.firstIn(bars, t - slack);
    return at < bars.length && this.model.bars.begin[bars[at]] <= t + slack ? bars[at] : -1;
  }

  // Where a bar is on the canvas: { x, y }, for tests; its middle as far as it is in view.
  where(task) {
    const { bars, barsOf } = this.model;
    const bar = barsOf[task][0];
    const [begin, end] = [Math.max(bars.begin[bar], this.view.from), Math.min(bars.finish[bar], this.view.to)];
    return { x: this.painter.x((begin + end) / 2), y: this.lanes.middle(bars.lane[bar], bars.row[bar]) };
  }

  reveal(task, t) {
    const bar = this.model.barAt(task, t);
    if (bar >= 0 && this.model.bars.lane[bar] >= 0) this.lanes.reveal(this.model.bars.lane[bar]);
    this.view.reveal(t);
    this.later();
  }
}
