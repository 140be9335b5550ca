// Wheel, drag and keys on the timeline.

const ZOOM = 1.25;

class Pointer {
  // `hover(found, x, y)`, `choose(found)`: told what is under the pointer, null for nothing.
  constructor(timeline, hover, choose) {
    Object.assign(this, { timeline, hover, choose });
    const { canvas } = timeline;
    canvas.addEventListener('wheel', (event) => this.wheel(event), { passive: false });
    canvas.addEventListener('pointerdown', (event) => this.down(event));
    canvas.addEventListener('pointermove', (event) => this.move(event));
    canvas.addEventListener('pointerup', (event) => this.up(event));
    canvas.addEventListener('pointercancel', () => { this.drag = null; });
    canvas.addEventListener('pointerleave', () => this.hover(null));
    canvas.addEventListener('dblclick', (event) => this.zoomAt(event, 1 / ZOOM ** 4));
    canvas.addEventListener('keydown', (event) => this.key(event));
  }

  // Zooms where the pointer is; beside the lanes, or with Shift, it scrolls them; sideways it pans.
  wheel(event) {
    event.preventDefault();
    const { view, lanes, painter } = this.timeline;
    const lines = event.deltaMode ? 16 : 1;
    if (event.shiftKey || event.offsetX < painter.gutter) lanes.scrollTo(lanes.scroll + (event.deltaY || event.deltaX) * lines);
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) view.pan(event.deltaX * lines);
    else this.zoomAt(event, ZOOM ** (event.deltaY * lines / 60));
    this.timeline.later();
  }

  zoomAt(event, factor) {
    const { view, painter } = this.timeline;
    view.zoom(factor, view.t(event.offsetX - painter.gutter));
  }

  down(event) {
    if (event.button) return;
    this.timeline.canvas.setPointerCapture(event.pointerId);
    const [x, y] = [event.offsetX, event.offsetY];
    this.drag = { x, y, startX: x, startY: y, moved: false, select: event.shiftKey || y < AXIS };
  }

  // Drags the picture; on the axis, or with Shift, it marks the stretch to zoom to.
  move(event) {
    const { drag, timeline } = this;
    const [x, y] = [event.offsetX, event.offsetY];
    if (!drag) {
      this.hover(timeline.at(x, y), x, y);
      return;
    }
    drag.moved = drag.moved || Math.hypot(x - drag.startX, y - drag.startY) > 3;
    if (!drag.moved) return;
    this.hover(null);
    if (drag.select) this.band(drag.startX, x);
    else {
      timeline.view.pan(drag.x - x);
      timeline.lanes.scrollTo(timeline.lanes.scroll + drag.y - y);
    }
    [drag.x, drag.y] = [x, y];
    timeline.later();
  }

  band(from, to) {
    const { timeline } = this;
    timeline.after = () => {
      const { context, colour, height } = timeline.painter;
      context.globalAlpha = 0.15;
      context.fillStyle = colour.ink;
      context.fillRect(Math.min(from, to), 0, Math.abs(to - from), height);
      context.globalAlpha = 1;
    };
  }

  up(event) {
    const { drag, timeline } = this;
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) this.choose(timeline.at(event.offsetX, event.offsetY));
    else if (drag.select) {
      timeline.after = () => {};
      const ends = [drag.startX, event.offsetX].map((x) => timeline.view.t(x - timeline.painter.gutter));
      timeline.view.show(Math.min(...ends), Math.max(...ends));
    }
  }

  key(event) {
    const { view, lanes } = this.timeline;
    const middle = (view.from + view.to) / 2;
    const deeds = {
      ArrowLeft: () => view.pan(-view.width / 8),
      ArrowRight: () => view.pan(view.width / 8),
      ArrowUp: () => lanes.scrollTo(lanes.scroll - 3 * lanes.row),
      ArrowDown: () => lanes.scrollTo(lanes.scroll + 3 * lanes.row),
      PageUp: () => lanes.scrollTo(lanes.scroll - lanes.height / 2),
      PageDown: () => lanes.scrollTo(lanes.scroll + lanes.height / 2),
      Home: () => view.show(-view.margin, view.to - view.from - view.margin),
      End: () => view.show(view.end + view.margin - (view.to - view.from), view.end + view.margin),
      '+': () => view.zoom(1 / ZOOM, middle),
      '=': () => view.zoom(1 / ZOOM, middle),
      '-': () => view.zoom(ZOOM, middle),
    };
    if (!deeds[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    deeds[event.key]();
    this.timeline.later();
  }
}
