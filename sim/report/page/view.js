// Which stretch of virtual time is shown, and on how many pixels.

const NARROWEST = 20;

class View {
  constructor(end) {
    this.end = end;
    this.width = 1;
    this.changed = () => {};
    this.reset();
  }

  get margin() { return this.end * 0.01; }

  reset() { this.show(-this.margin, this.end + this.margin); }

  show(from, to) {
    const length = Math.min(Math.max(to - from, NARROWEST), this.end + 2 * this.margin);
    this.from = Math.min(Math.max(from, -this.margin), this.end + this.margin - length);
    this.to = this.from + length;
    this.changed();
  }

  get whole() { return this.to - this.from >= (this.end + 2 * this.margin) * 0.999; }

  get perPixel() { return (this.to - this.from) / this.width; }

  x(t) { return (t - this.from) / this.perPixel; }

  t(x) { return this.from + x * this.perPixel; }

  zoom(factor, at) {
    this.show(at - (at - this.from) * factor, at + (this.to - at) * factor);
  }

  pan(pixels) {
    const by = pixels * this.perPixel;
    this.show(this.from + by, this.to + by);
  }

  // So that the time is in the middle; what is in view already stays as it is.
  reveal(t) {
    if (t < this.from || t > this.to) this.show(t - (this.to - this.from) / 2, t + (this.to - this.from) / 2);
  }
}
