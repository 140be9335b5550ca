// The data of the page: base64, gzip, JSON, and sums where a column holds differences.

async function decoded() {
  const packed = Uint8Array.from(atob(document.getElementById('data').textContent), (sign) => sign.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('gzip'));
  const data = JSON.parse(await new Response(stream).text());
  for (const name of ['tasks', 'rows', 'moves']) {
    data[name] = summed(data[name]);
  }
  return data;
}

// A column "+t" becomes "t"; sums begin anew at each of `first`.
function summed(table) {
  const made = {};
  for (const [name, values] of Object.entries(table)) {
    made[name.replace('+', '')] = name[0] === '+' ? sums(values, table.first) : values;
  }
  return made;
}

function sums(steps, first) {
  const values = new Float64Array(steps.length);
  const begins = first || [0];
  let next = 0;
  let sum = 0;
  for (let at = 0; at < steps.length; at++) {
    while (next < begins.length && begins[next] <= at) {
      if (begins[next++] === at) sum = 0;
    }
    values[at] = sum += steps[at];
  }
  return values;
}
