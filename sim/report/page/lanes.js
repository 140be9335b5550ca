// Where each lane is on the canvas. The hosts that are no nodes stay on top, the others scroll below them.

const LOWEST = 4;
const HIGHEST = 24;
const PINNED = 8;
const LEGIBLE = 13;

class Lanes {
  constructor(model) {
    const nodes = model.lanes.node;
    this.rows = model.rowsOf.map((rows) => rows.length);
    const control = nodes.indexOf(1) < 0 ? nodes.length : nodes.indexOf(1);
    this.pinned = control <= PINNED ? control : 0;
    this.first = [];
    let sum = 0;
    for (const rows of this.rows) {
      this.first.push(sum);
      sum += rows;
    }
    this.total = sum;
    this.scroll = 0;
    this.scale = 1;
  }

  // Into so many pixels of height, below `top`.
  fit(top, height) {
    this.top = top;
    this.height = height;
    const ideal = (height - this.pinnedRows * LEGIBLE) / Math.max(this.total - this.pinnedRows, 1);
    this.row = Math.min(Math.max(ideal, LOWEST), HIGHEST) * this.scale;
    this.row = Math.min(Math.max(this.row, LOWEST), HIGHEST * 2);
    this.pinnedRow = Math.max(this.row, LEGIBLE);
    this.split = this.pinned ? top + this.pinnedRows * this.pinnedRow + 4 : top;
    this.scrollTo(this.scroll);
  }

  get pinnedRows() {
    if (!this.pinned) return 0;
    return this.pinned < this.first.length ? this.first[this.pinned] : this.total;
  }

  // How high a row of that lane is.
  high(lane) { return lane < this.pinned ? this.pinnedRow : this.row; }

  get longest() { return Math.max((this.total - this.pinnedRows) * this.row - (this.top + this.height - this.split), 0); }

  scrollTo(pixels) { this.scroll = Math.min(Math.max(pixels, 0), this.longest); }

  // The upper edge of a lane, or of a row of it.
  y(lane, row = 0) {
    const at = this.first[lane] + row;
    if (lane < this.pinned) return this.top + at * this.pinnedRow;
    return this.split + (at - this.pinnedRows) * this.row - this.scroll;
  }

  heightOf(lane) { return this.rows[lane] * this.high(lane); }

  // The middle, kept within what can be seen.
  middle(lane, row = -1) {
    const y = row < 0 ? this.y(lane) + this.heightOf(lane) / 2 : this.y(lane, row) + this.high(lane) / 2;
    if (lane < this.pinned) return y;
    return Math.min(Math.max(y, this.split), this.top + this.height);
  }

  // { lane, row } at that height, null for none.
  at(y) {
    if (y < this.top || y >= this.top + this.height) return null;
    const at = Math.floor(y < this.split ? (y - this.top) / this.pinnedRow
      : (y - this.split + this.scroll) / this.row + this.pinnedRows);
    if (at >= this.total || (y < this.split && at >= this.pinnedRows)) return null;
    const lane = lastAt(this.first, at, 0, this.first.length);
    return { lane, row: at - this.first[lane] };
  }

  // The lanes that can be seen, from and to, of those that scroll.
  visible() {
    const begin = this.at(this.split);
    const end = this.at(this.top + this.height - 1);
    return [begin ? begin.lane : this.pinned, end ? end.lane + 1 : this.first.length];
  }

  reveal(lane) {
    if (lane < this.pinned) return;
    const y = this.y(lane);
    if (y < this.split || y + this.heightOf(lane) > this.top + this.height) {
      this.scrollTo(this.scroll + y - (this.split + this.top + this.height) / 2);
    }
  }
}
