// Refused writes, faults and violations on the timeline. Each sort has a shape of its own.

// So many violations in sight get a line each through all lanes.
const LINED = 24;

class Marks {
  constructor(painter) { this.painter = painter; }

  get model() { return this.painter.model; }

  // A stretch of a lane under a fault.
  spans(lanes) {
    const { context, colour, view, width, gutter } = this.painter;
    const { t, until, lane } = this.model.faults;
    context.fillStyle = this.hatched(colour.fault);
    for (let fault = 0; fault < t.length; fault++) {
      if (until[fault] < t[fault] || lane[fault] < 0 || !lanes(lane[fault])) continue;
      if (until[fault] < view.from || t[fault] > view.to) continue;
      const left = Math.max(this.painter.x(t[fault]), gutter);
      const right = Math.min(this.painter.x(until[fault]), width);
      const { lanes: at } = this.painter;
      context.fillRect(left, at.y(lane[fault]), Math.max(right - left, 1), at.heightOf(lane[fault]) - 1);
    }
  }

  hatched(colour) {
    if (this.hatch && this.hatch.colour === colour) return this.hatch.pattern;
    const tile = document.createElement('canvas');
    tile.width = tile.height = 6;
    const context = tile.getContext('2d');
    context.strokeStyle = colour;
    context.globalAlpha = 0.55;
    for (const at of [-3, 3, 9]) {
      context.moveTo(at - 4, 7);
      context.lineTo(at + 4, -1);
    }
    context.stroke();
    this.hatch = { colour, pattern: this.painter.context.createPattern(tile, 'repeat') };
    return this.hatch.pattern;
  }

  // At most one of a sort in the same lane on the same pixels. `drawn` is told what is where.
  points(lanes, drawn) {
    const { t, lane } = this.model.refused;
    this.each('refused', t, (place) => lane[place], lanes, drawn, (x, y, size) => this.diamond(x, y, size));
    const faults = this.model.faults;
    const struck = (place) => (faults.over[place] ? -2 : faults.lane[place]);
    this.each('fault', faults.t, struck, lanes, drawn, (x, y, size) => this.triangle(x, y, size));
    const where = (place) => this.model.laneOfViolation(place);
    this.each('violation', this.model.violations.t, where, lanes, drawn, (x, y, size) => this.cross(x, y, size));
  }

  each(sort, times, laneOf, lanes, drawn, draw) {
    const { view, lanes: at } = this.painter;
    const taken = new Map();
    for (let place = lastAt(times, view.from - 1, 0, times.length) + 1; place < times.length; place++) {
      if (times[place] > view.to) break;
      const lane = laneOf(place);
      if (lane < 0 || !lanes(lane)) continue;
      const x = this.painter.x(times[place]);
      if (x - (taken.get(lane) ?? -9) < 2) continue;
      taken.set(lane, x);
      const size = Math.min(Math.max(at.high(lane) / 3.2, 2.5), 5);
      const y = at.y(lane) + at.heightOf(lane) / 2;
      draw(x, y, size);
      drawn({ sort, place, x, y, size: size + 2 });
    }
  }

  // What happened to the run as a whole, under the axis; violations go through all lanes while they are few.
  rail(drawn) {
    const { context, colour, view, height, gutter } = this.painter;
    const { t: broken } = this.model.violations;
    const many = lastAt(broken, view.to, 0, broken.length) - lastAt(broken, view.from - 1, 0, broken.length);
    let last = -9;
    for (const { t, sort, place } of this.model.marks) {
      const x = this.painter.x(t);
      if (sort === 'refused' || t < view.from || t > view.to || x < gutter || (sort === 'fault' && x - last < 2)) continue;
      last = x;
      if (sort === 'fault') this.triangle(x, 26, 5);
      else {
        context.fillStyle = colour.violation;
        context.globalAlpha = 0.5;
        if (many <= LINED) context.fillRect(Math.round(x), 32, 1, height);
        context.globalAlpha = 1;
        this.cross(x, 26, 5);
      }
      drawn({ sort, place, x, y: 26, size: 7 });
    }
  }

  shape(fill, points) {
    const { context, colour } = this.painter;
    context.beginPath();
    points.forEach(([x, y]) => context.lineTo(x, y));
    context.closePath();
    context.fillStyle = fill;
    context.strokeStyle = colour.ground;
    context.lineWidth = 1;
    context.stroke();
    context.fill();
  }

  diamond(x, y, size) {
    this.shape(this.painter.colour.refused, [[x, y - size], [x + size * 0.8, y], [x, y + size], [x - size * 0.8, y]]);
  }

  triangle(x, y, size) {
    this.shape(this.painter.colour.fault, [[x - size, y - size], [x + size, y - size], [x, y + size * 0.8]]);
  }

  cross(x, y, size) {
    const { context, colour } = this.painter;
    for (const [width, stroke] of [[5, colour.ground], [2.2, colour.violation]]) {
      context.beginPath();
      context.moveTo(x - size, y - size);
      context.lineTo(x + size, y + size);
      context.moveTo(x + size, y - size);
      context.lineTo(x - size, y + size);
      context.lineWidth = width;
      context.strokeStyle = stroke;
      context.stroke();
    }
  }
}
