// What the data says, by task, by lane and by time.

// The last place whose value is at most `value`, in sorted values from..to; from - 1 if there is none.
function lastAt(values, value, from, to) {
  while (from < to) {
    const middle = (from + to) >> 1;
    if (values[middle] <= value) from = middle + 1;
    else to = middle;
  }
  return from - 1;
}

const OUTCOMES = { Succeeded: 'ok', Failed: 'failed' };
const WRITES = new Set(['create', 'patch', 'patch_status', 'delete']);

class Model {
  constructor(data) {
    Object.assign(this, data);
    this.end = Math.max(data.head.end, 1);
    this.size = data.tasks.name.length;
    this.laneOf = new Map(data.lanes.name.map((name, lane) => [name, lane]));
    this.taskOf = new Map(data.tasks.name.map((name, task) => [name, task]));
    this.place();
    this.tally();
    this.marks = this.marked();
  }

  text(place) { return this.texts[place]; }

  lane(actor) { return this.laneOf.get(actor.split('/')[0]) ?? -1; }

  // Bars get where they begin and end, how they came out, and the row of their lane that is free for them.
  place() {
    const bars = this.bars;
    const many = bars.task.length;
    bars.begin = new Float64Array(many);
    bars.finish = new Float64Array(many);
    bars.ran = new Float64Array(many);
    bars.sort = new Array(many);
    bars.row = new Int32Array(many);
    this.rowsOf = this.lanes.name.map(() => [[]]);
    this.barsOf = Array.from({ length: this.size }, () => []);
    for (let bar = 0; bar < many; bar++) this.placeBar(bar);
  }

  placeBar(bar) {
    const { task, lane, assigned, claimed, ended, started, begin, finish, ran, sort, row } = this.bars;
    begin[bar] = Math.min(...[assigned[bar], claimed[bar], started[bar]].filter((t) => t >= 0));
    ran[bar] = started[bar] < 0 ? -1 : this.stopped(bar);
    finish[bar] = Math.max(assigned[bar] < 0 ? 0 : ended[bar] < 0 ? this.end : ended[bar], ran[bar], begin[bar]);
    const outcome = this.text(this.bars.outcome[bar]);
    sort[bar] = OUTCOMES[outcome] || (outcome ? 'lost' : assigned[bar] < 0 ? 'lost' : 'going');
    this.barsOf[task[bar]].push(bar);
    if (lane[bar] < 0) return;
    const rows = this.rowsOf[lane[bar]];
    let free = rows.findIndex((each) => !each.length || finish[each[each.length - 1]] <= begin[bar]);
    if (free < 0) free = rows.push([]) - 1;
    rows[free].push(bar);
    row[bar] = free;
  }

  // When the executor stopped; one whose host crashed does not say.
  stopped(bar) {
    const { lane, ended, started, stopped } = this.bars;
    if (stopped[bar] >= 0) return stopped[bar];
    const { t, lane: struck, detail } = this.faults;
    const crash = t.findIndex((at, fault) => struck[fault] === lane[bar] && at >= started[bar] &&
      this.text(detail[fault]).startsWith('crash'));
    if (crash >= 0 && t[crash] <= (ended[bar] < 0 ? this.end : ended[bar])) return t[crash];
    return ended[bar] < 0 ? this.end : Math.max(ended[bar], started[bar]);
  }

  tally() {
    this.conflicts = new Int32Array(this.size);
    this.violated = new Int32Array(this.size);
    this.refused.task.forEach((task) => { if (task >= 0) this.conflicts[task]++; });
    this.violations.task.forEach((task) => { if (task >= 0) this.violated[task]++; });
  }

  // Everything that is marked, in order of time: { t, sort, place }. Refused writes only as long as they are few.
  marked() {
    const of = (sort, table, keep = () => true) => table.t.map((t, place) => ({ t, sort, place }))
      .filter(({ place }) => keep(place));
    const marks = [...of('fault', this.faults, (place) => !this.faults.over[place]), ...of('violation', this.violations)];
    if (this.refused.t.length <= 1000) marks.push(...of('refused', this.refused));
    return marks.sort((a, b) => a.t - b.t);
  }

  // The rows of a task, as places in `rows`.
  rowsFrom(task) { return this.rows.first[task]; }

  rowsTo(task) { return this.rows.first[task + 1]; }

  // The last write to the task, refused ones left out, at or before `t`; -1 if there is none.
  writeAt(task, t) {
    const { what, version } = this.rows;
    let row = lastAt(this.rows.t, t, this.rowsFrom(task), this.rowsTo(task));
    while (row >= this.rowsFrom(task) && !(WRITES.has(this.text(what[row])) && version[row] > 0)) row--;
    return row < this.rowsFrom(task) ? -1 : row;
  }

  // What the task was at that time: null before it was created.
  stateAt(task, t) {
    const { first, phase, attempt, node, holder, verdict, reason } = this.moves;
    const move = lastAt(this.moves.t, t, first[task], first[task + 1]);
    if (move < first[task]) return null;
    const write = this.writeAt(task, t);
    const [at, on, by, said, why] = [phase, node, holder, verdict, reason].map((column) => this.text(column[move]));
    const version = write < 0 ? 0 : this.rows.version[write];
    return { phase: at, attempt: attempt[move], node: on, holder: by, verdict: said, reason: why, version, write };
  }

  // What the node offered at that time; null if nobody knew of it.
  nodeAt(lane, t) {
    const { lane: lanes, t: times } = this.nodes;
    let place = lastAt(times, t, 0, times.length);
    while (place >= 0 && lanes[place] !== lane) place--;
    if (place < 0) return null;
    const told = { phase: this.text(this.nodes.phase[place]), accelerator: this.text(this.nodes.accelerator[place]) };
    return { ...told, slots: this.nodes.slots[place], ram: this.nodes.ram_gb[place] };
  }

  // The attempts that a lane runs at that time.
  runningAt(lane, t) {
    const { begin, finish } = this.bars;
    return this.rowsOf[lane].flat().filter((bar) => begin[bar] <= t && t < finish[bar]);
  }

  // The attempt of a task that its lane was busy with at that time, or the one before.
  barAt(task, t) {
    const bars = this.barsOf[task];
    const over = bars.filter((bar) => this.bars.begin[bar] <= t);
    return over.length ? over[over.length - 1] : bars.length ? bars[0] : -1;
  }

  // Where a violation is to be seen: on its host, or where its task was then. -1: nowhere in particular.
  laneOfViolation(place) {
    const { lane, task, t } = this.violations;
    if (lane[place] >= 0 || task[place] < 0) return lane[place];
    const bar = this.barAt(task[place], t[place]);
    return bar < 0 ? -1 : this.bars.lane[bar];
  }
}
