// Who wrote what an event followed from: the arrows between lanes, from what sim.causes has found.

class Arrows {
  constructor(painter) {
    this.painter = painter;
    this.drawn = 0;
  }

  // Of an event: the writes it followed from, back to the first. Each is { from, to, sort }, places in `rows`.
  of(row) {
    const { from, by } = this.painter.model.rows;
    const found = [];
    if (by[row]) found.push({ from: row - by[row], to: row, sort: 'overtaken' });
    for (let at = row; from[at]; at -= from[at]) found.push({ from: at - from[at], to: at, sort: 'read' });
    return found;
  }

  point(row, t) {
    const { model, lanes } = this.painter;
    const lane = model.lane(model.text(model.rows.actor[row]));
    if (lane < 0) return null;
    return { x: this.painter.x(t), y: lanes.middle(lane, this.rowOf(row, lane)) };
  }

  // The row of the lane in which the attempt of that task is, if it is there.
  rowOf(row, lane) {
    const { model } = this.painter;
    const task = lastAt(model.rows.first, row, 0, model.size);
    const t = model.rows.t[row];
    const bar = model.barsOf[task].find((each) => model.bars.lane[each] === lane &&
      model.bars.begin[each] <= t && t <= model.bars.finish[each]);
    return bar === undefined ? -1 : model.bars.row[bar];
  }

  // The events of a task as dots, what led to `row` as arrows.
  draw(task, row) {
    this.drawn = 0;
    if (row >= 0) {
      const arrows = this.of(row);
      arrows.forEach((arrow) => this.arrow(arrow, arrow.to === row));
    }
    if (task >= 0) this.dots(task, row);
  }

  // From the write, at the moment its version became known, along the lane of who wrote on it.
  arrow({ from, to, sort }, strong) {
    const { t, basis } = this.painter.model.rows;
    const begin = this.point(from, t[from]);
    const end = this.point(to, t[to]);
    if (!begin || !end) return;
    const { context, colour } = this.painter;
    const learned = sort === 'read' && basis[to] >= 0 ? this.painter.x(t[to] - basis[to]) : end.x;
    context.save();
    context.strokeStyle = context.fillStyle = sort === 'overtaken' ? colour.refused : colour.ink;
    context.globalAlpha = strong ? 1 : 0.45;
    context.lineWidth = strong ? 1.8 : 1.2;
    context.setLineDash(sort === 'overtaken' ? [4, 3] : []);
    context.beginPath();
    context.moveTo(begin.x, begin.y);
    context.lineTo(learned, end.y);
    context.lineTo(end.x, end.y);
    context.stroke();
    context.setLineDash([]);
    const flat = end.x - learned > 6;
    this.head(flat ? learned : begin.x, flat ? end.y : begin.y, end.x, end.y);
    context.restore();
    this.drawn++;
  }

  head(fromX, fromY, x, y) {
    const { context } = this.painter;
    const angle = Math.atan2(y - fromY, x - fromX);
    context.beginPath();
    context.moveTo(x, y);
    for (const turn of [2.7, -2.7]) context.lineTo(x + 8 * Math.cos(angle + turn), y + 8 * Math.sin(angle + turn));
    context.fill();
  }

  dots(task, marked) {
    const { model, context, colour, view } = this.painter;
    for (let row = model.rowsFrom(task); row < model.rowsTo(task); row++) {
      const t = model.rows.t[row];
      const at = t >= view.from && t <= view.to ? this.point(row, t) : null;
      if (!at) continue;
      context.beginPath();
      context.arc(at.x, at.y, row === marked ? 5 : 3, 0, 7);
      context.fillStyle = row === marked ? colour.ink : colour.ground;
      context.strokeStyle = model.text(model.rows.style[row]) ? colour.refused : colour.ink;
      context.lineWidth = 1.5;
      context.fill();
      context.stroke();
    }
  }
}
