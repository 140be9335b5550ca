// The whole run under the timeline: how much ran when, where the marks are, which stretch is shown. A drag moves the stretch.

class Overview {
  constructor(canvas, model, view) {
    Object.assign(this, { canvas, model, view });
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.centre(event);
    });
    canvas.addEventListener('pointermove', (event) => { if (event.buttons) this.centre(event); });
  }

  centre(event) {
    const t = ((event.offsetX - this.gutter) / this.width) * this.model.end;
    const half = (this.view.to - this.view.from) / 2;
    this.view.show(t - half, t + half);
  }

  // How many attempts were under way, of `many` equal parts of the run the mean.
  load(many) {
    if (this.loads && this.loads.length === many) return this.loads;
    const { begin, finish } = this.model.bars;
    const changes = new Float64Array(many + 2);
    const whole = this.model.end / many;
    for (let bar = 0; bar < begin.length; bar++) {
      for (const [t, by] of [[begin[bar], 1], [finish[bar], -1]]) {
        const at = Math.min(t / whole, many);
        const part = 1 - (at - Math.floor(at));
        changes[Math.floor(at)] += by * part;
        changes[Math.floor(at) + 1] += by * (1 - part);
      }
    }
    let sum = 0;
    this.loads = Array.from({ length: many }, (_, at) => (sum += changes[at]));
    return this.loads;
  }

  draw(gutter) {
    const { canvas, model, view } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const density = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [width * density, height * density];
    [this.gutter, this.width] = [gutter, width - gutter - 8];
    const context = canvas.getContext('2d');
    const colour = colours();
    context.scale(density, density);
    this.area(context, colour, height);
    const x = (t) => gutter + (t / model.end) * this.width;
    for (const { t, sort } of model.marks) {
      if (sort === 'refused') continue;
      context.fillStyle = colour[sort];
      context.fillRect(x(t) - 0.5, 0, sort === 'violation' ? 2 : 1, sort === 'violation' ? height : height / 3);
    }
    const [from, to] = [Math.max(x(view.from), gutter), Math.min(x(view.to), gutter + this.width)];
    context.fillStyle = colour.ink;
    context.globalAlpha = 0.12;
    context.fillRect(gutter, 0, from - gutter, height);
    context.fillRect(to, 0, gutter + this.width - to, height);
    context.globalAlpha = 1;
    context.strokeStyle = colour.ink;
    context.strokeRect(from + 0.5, 0.5, Math.max(to - from - 1, 2), height - 1);
  }

  area(context, colour, height) {
    const loads = this.load(Math.max(Math.floor(this.width), 1));
    const most = loads.reduce((one, other) => Math.max(one, other), 1);
    context.font = '11px system-ui, sans-serif';
    context.textAlign = 'right';
    context.textBaseline = 'middle';
    context.fillStyle = colour.muted;
    context.fillText(`${count(Math.round(most))} at once`, this.gutter - 8, height / 2);
    context.globalAlpha = 0.5;
    loads.forEach((load, at) => context.fillRect(this.gutter + at, height - (load / most) * (height - 2), 1, height));
    context.globalAlpha = 1;
  }
}
