import { expect, test } from 'vitest';
import { byOrigin, type CpuProfile, callTree, type Frame } from './cpu-profile.ts';
import { flameGraph, merge } from './profile-flame.ts';
import { profileTables, totalByFunction } from './profile-table.ts';

const AEDES = 'file:///x/node_modules/aedes/aedes.js';

function node(
  id: number,
  functionName: string,
  url: string,
  children: number[] = [],
): CpuProfile['nodes'][number] {
  return { id, callFrame: { functionName, url, lineNumber: 0 }, children };
}

/** A loop that calls itself, a handler, the garbage collector, and time in which nothing ran. */
const PROFILE: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 5, 6]),
    node(2, 'loop', 'file:///x/dist/delivery/lane.js', [3]),
    node(3, 'loop', 'file:///x/dist/delivery/lane.js', [4]),
    node(4, 'handle', AEDES),
    node(5, '(garbage collector)', ''),
    node(6, '(idle)', ''),
  ],
  samples: [2, 3, 4, 5, 6],
  timeDeltas: [100, 200, 300, 400, 9000],
};

function frame(name: string, totalUs: number, children: readonly Frame[] = []): Frame {
  return { name, origin: 'node', selfUs: 0, totalUs, children };
}

test('time in which nothing ran does not count, the rest is counted by package', () => {
  const root = callTree(PROFILE);
  expect(root.totalUs).toBe(1000);
  expect(Object.fromEntries(byOrigin(root))).toMatchObject({
    'tidegate delivery': 300,
    aedes: 300,
    '(garbage collector)': 400,
  });
});

test('a function that calls itself counts once in the total', () => {
  const totals = Object.fromEntries(totalByFunction(callTree(PROFILE)));
  expect(totals['loop lane.js:1  tidegate delivery']).toBe(600);
  expect(totals['handle aedes.js:1  aedes']).toBe(300);
});

test('the tables tell shares of the time in which something ran', () => {
  expect(profileTables(callTree(PROFILE))).toMatch(/\(garbage collector\) +0 +40\.0 %/);
});

test('frames of the same function in the same place are one, and the widest is first', () => {
  const children = [frame('a', 1, [frame('b', 1)]), frame('c', 4), frame('a', 5, [frame('b', 2)])];
  expect(merge(children).map(({ name, totalUs }) => [name, totalUs])).toEqual([
    ['a', 6],
    ['c', 4],
  ]);
  expect(merge(children)[0]?.children).toMatchObject([{ name: 'b', totalUs: 3 }]);
});

test('a flame graph has a frame for each function with its time as width and a title', () => {
  const graph = flameGraph('ingest <x>', callTree(PROFILE));
  expect(graph).toContain('ingest &lt;x&gt;');
  expect(graph).toContain(
    '<title>handle aedes.js:1 (aedes): 0.3 ms, 30.0 %; self 0.3 ms</title><rect x="0" y="79" width="480"',
  );
  expect(graph).not.toContain('idle');
});

test('frames too narrow to be seen are left out', () => {
  const root = { ...frame('all', 1_000_000, [frame('wide', 999_900), frame('narrow', 100)]) };
  const graph = flameGraph('x', root);
  expect(graph).toContain('wide');
  expect(graph).not.toContain('narrow');
});
