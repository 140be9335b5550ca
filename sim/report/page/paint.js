// What the timeline looks like: lanes, bars, marks. Bars narrower than a pixel are drawn together: how tall the column is,
// says how busy the row was; the worst outcome gives the colour, so that a failure is never hidden.

const WORST = ['waiting', 'ok', 'going', 'lost', 'failed'];
const AXIS = 36;

// The colours of the style sheet, which differ by day and night.
function colours() {
  const style = getComputedStyle(document.documentElement);
  const names = ['ink', 'muted', 'line', 'ground', 'stripe', 'ok', 'failed', 'lost', 'going', 'refused', 'fault', 'violation'];
  return Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

class Painter {
  constructor(model, view, lanes) {
    Object.assign(this, { model, view, lanes });
    this.gutter = 100;
    this.shown = null; // tasks that pass the filter; null: all of them
    this.selected = -1;
  }

  begin(context, width, height) {
    this.context = context;
    this.colour = colours();
    context.font = '11px system-ui, sans-serif';
    context.textBaseline = 'middle';
    context.clearRect(0, 0, width, height);
    [this.width, this.height] = [width, height];
  }

  x(t) { return this.gutter + this.view.x(t); }

  // Calls `draw` with what is drawn kept off the gutter, the axis and, of what scrolls, the pinned lanes.
  clipped(top, draw) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(this.gutter, top, this.width - this.gutter, this.height - top);
    context.clip();
    draw();
    context.restore();
  }

  axis() {
    const { context, colour, view } = this;
    const by = step(view.perPixel * 90);
    context.fillStyle = colour.muted;
    context.strokeStyle = colour.line;
    context.textAlign = 'left';
    context.lineWidth = 1;
    for (let t = Math.max(Math.ceil(view.from / by) * by, 0); t <= Math.min(view.to, this.model.end); t += by) {
      const x = Math.round(this.x(t)) + 0.5;
      context.beginPath();
      context.moveTo(x, 8);
      context.lineTo(x, this.height);
      context.stroke();
      if (x < this.width - 30) context.fillText(tick(Math.round(t), by), x + 4, 10);
    }
  }

  lane(lane) {
    const { context, colour, lanes } = this;
    const y = lanes.y(lane);
    const height = lanes.heightOf(lane);
    if (lane % 2 && height > 8) {
      context.fillStyle = colour.stripe;
      context.fillRect(0, y, this.width, height);
    }
    for (let row = 0; row < lanes.rows[lane]; row++) this.row(lane, row);
  }

  label(lane, last) {
    const { context, colour, lanes } = this;
    const y = lanes.y(lane);
    const middle = y + Math.min(lanes.heightOf(lane), 3 * lanes.high(lane)) / 2;
    if (middle - last < 11) return last;
    context.fillStyle = colour.ink;
    context.textAlign = 'right';
    context.fillText(this.model.lanes.name[lane], this.gutter - 8, middle, this.gutter - 12);
    return middle;
  }

  row(lane, row) {
    const bars = this.model.rowsOf[lane][row];
    const { begin, finish } = this.model.bars;
    const { view, lanes } = this;
    const y = lanes.y(lane, row);
    let at = this.firstIn(bars, view.from);
    let heap = null;
    for (; at < bars.length && begin[bars[at]] <= view.to; at++) {
      const bar = bars[at];
      const left = this.x(begin[bar]);
      const right = this.x(finish[bar]);
      if (right - left >= 1.5) {
        heap = this.pour(heap, y);
        this.bar(bar, left, right, y);
        continue;
      }
      const pixel = Math.floor(left);
      if (heap && heap.pixel !== pixel) heap = this.pour(heap, y);
      heap = heap || { pixel, filled: 0, worst: 0, dim: true };
      heap.filled += right - left;
      heap.worst = Math.max(heap.worst, WORST.indexOf(this.model.bars.sort[bar]));
      heap.dim = heap.dim && this.dim(bar);
    }
    this.pour(heap, y);
  }

  // The first bar that ends after `t`; those of a row never overlap.
  firstIn(bars, t) {
    const { finish } = this.model.bars;
    let [from, to] = [0, bars.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (finish[bars[middle]] < t) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  pour(heap, y) {
    if (!heap) return null;
    const { context, lanes } = this;
    const room = lanes.row - (lanes.row > 6 ? 2 : 1);
    const height = Math.max(room * Math.min(heap.filled, 1), Math.min(room, 2));
    context.globalAlpha = heap.dim ? 0.2 : 1;
    context.fillStyle = this.colour[WORST[heap.worst]];
    context.fillRect(heap.pixel, y + room - height, 1, height);
    context.globalAlpha = 1;
    return null;
  }

  dim(bar) { return this.shown !== null && !this.shown.has(this.model.bars.task[bar]); }

  bar(bar, left, right, y) {
    const { context, colour, lanes, model } = this;
    const { claimed, ran, assigned, sort, task } = model.bars;
    const height = lanes.row - (lanes.row > 6 ? 2 : 1);
    const [begin, end] = [Math.max(left, this.gutter - 2), Math.min(right, this.width + 2)];
    const run = claimed[bar] < 0 ? (assigned[bar] < 0 ? begin : end) : Math.min(Math.max(this.x(claimed[bar]), begin), end);
    context.globalAlpha = this.dim(bar) ? 0.2 : 1;
    context.fillStyle = colour[sort[bar]];
    if (sort[bar] === 'lost') this.hollow(run, end, y, height);
    else context.fillRect(run, y, Math.max(end - run, 0), height);
    if (run > begin) {
      context.fillStyle = colour.muted;
      context.fillRect(begin, y + height / 2 - 0.5, run - begin, 1);
    }
    if (sort[bar] === 'failed' && end - run > 6) {
      context.fillStyle = colour.ink;
      context.fillRect(end - 2, y, 2, height);
    }
    this.beyond(bar, y, height);
    if (lanes.row >= 13 && end - run > 44) this.named(task[bar], run, end, y + height / 2, sort[bar]);
    if (task[bar] === this.selected) this.outlined(begin, end, y, height);
    context.globalAlpha = 1;
  }

  hollow(left, right, y, height) {
    const { context } = this;
    const alpha = context.globalAlpha;
    context.globalAlpha = alpha * 0.3;
    context.fillRect(left, y, right - left, height);
    context.globalAlpha = alpha;
    context.fillRect(left, y, right - left, 1.5);
    context.fillRect(left, y + height - 1.5, right - left, 1.5);
    context.fillRect(right - 1.5, y, 1.5, height);
  }

  // An executor that runs when its attempt is over, or never was one.
  beyond(bar, y, height) {
    const { ended, ran, assigned, started } = this.model.bars;
    const over = assigned[bar] < 0 ? started[bar] : ended[bar];
    if (ran[bar] < 0 || over < 0 || ran[bar] <= over) return;
    const left = Math.max(this.x(Math.max(over, started[bar])), this.gutter);
    this.context.fillStyle = this.colour.violation;
    this.context.fillRect(left, y + height - 3, Math.max(Math.min(this.x(ran[bar]), this.width) - left, 1), 3);
  }

  named(task, left, right, y, sort) {
    const { context, colour } = this;
    const name = this.model.tasks.name[task].split('/')[1];
    if (context.measureText(name).width > right - left - 8) return;
    context.fillStyle = sort === 'lost' ? colour.ink : colour.ground;
    context.textAlign = 'left';
    context.fillText(name, Math.max(left, this.gutter) + 4, y + 0.5);
  }

  outlined(left, right, y, height) {
    const { context } = this;
    context.strokeStyle = this.colour.ink;
    context.lineWidth = 2;
    context.strokeRect(left - 1, y - 1, Math.max(right - left, 1) + 2, height + 2);
  }
}
