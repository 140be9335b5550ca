// The task and the stretch of time that are shown, kept in the address of the page.

function remembered(model) {
  const found = new URLSearchParams(location.hash.slice(1));
  const [from, to] = ['from', 'to'].map((name) => (found.has(name) ? Number(found.get(name)) : NaN));
  return { task: model.taskOf.get(found.get('task')) ?? -1, stretch: from < to ? [from, to] : null };
}

let remembering = 0;

function remember(model, view, task) {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    const told = new URLSearchParams();
    if (task >= 0) told.set('task', model.tasks.name[task]);
    if (!view.whole) ['from', 'to'].forEach((name) => told.set(name, Math.round(view[name])));
    const hash = told.toString();
    history.replaceState(null, '', hash ? `#${hash}` : location.pathname + location.search);
  }, 200);
}
