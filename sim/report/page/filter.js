// Which tasks are shown: by words, and by one of the ways in which tasks came out.

class Filter {
  constructor(model) {
    this.model = model;
    this.text = '';
    this.choice = '';
    const { tasks, size } = model;
    this.words = Array.from({ length: size }, (_, task) => [tasks.name[task],
      ...['class', 'workload', 'phase', 'verdict', 'node'].map((column) => model.text(tasks[column][task]))]
      .join(' ').toLowerCase());
  }

  // [value, label] of all that occur.
  choices() {
    const { model } = this;
    const found = [['', 'all tasks']];
    for (const column of ['phase', 'verdict']) {
      const tally = new Map();
      model.tasks[column].forEach((place) => tally.set(place, (tally.get(place) || 0) + 1));
      const named = [...tally].filter(([place]) => place).map(([place, many]) => [model.text(place), many]).sort();
      named.forEach(([name, many]) => found.push([`${column}:${name}`, `${column} ${name} (${count(many)})`]));
    }
    for (const [value, label] of [['violated', 'with a violation'], ['refused', 'with a refused write'], ['again', 'tried again']]) {
      const many = Array.from({ length: model.size }, (_, task) => this.special(value, task)).filter(Boolean).length;
      if (many) found.push([value, `${label} (${count(many)})`]);
    }
    return found;
  }

  special(value, task) {
    const { violated, conflicts, tasks } = this.model;
    return { violated: violated[task], refused: conflicts[task], again: tasks.attempts[task] > 1 }[value];
  }

  takes(task) {
    const [column, value] = this.choice.split(':');
    if (value && this.model.text(this.model.tasks[column][task]) !== value) return false;
    if (column && !value && !this.special(column, task)) return false;
    return this.wanted.every((word) => this.words[task].includes(word));
  }

  // The tasks that pass, in the order of the data.
  pass() {
    this.wanted = this.text.toLowerCase().split(/\s+/).filter(Boolean);
    const all = Array.from({ length: this.model.size }, (_, task) => task);
    return this.all ? all : all.filter((task) => this.takes(task));
  }

  get all() { return !this.text.trim() && !this.choice; }
}
