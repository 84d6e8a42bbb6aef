/** As V8 writes it with `--cpu-prof`; only what we read. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Ids of the nodes that were on top, sample by sample. */
  readonly samples: readonly number[];
  /** µs between one sample and the next. */
  readonly timeDeltas: readonly number[];
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: {
    readonly functionName: string;
    readonly url: string;
    readonly lineNumber: number;
  };
  readonly children?: readonly number[];
}

/** One function as it was called from one place, with what it called. */
export interface Frame {
  readonly name: string;
  /** Where it comes from: a package, a folder of ours, node, or what V8 says in brackets. */
  readonly origin: string;
  readonly selfUs: number;
  /** With all that it called. */
  readonly totalUs: number;
  readonly children: readonly Frame[];
}

/** Time by name, in µs, the largest first. */
export type Shares = readonly (readonly [name: string, selfUs: number])[];

const IDLE = '(idle)';
const PACKAGE = /node_modules\/((?:@[^/]+\/)?[^/]+)/;
const OURS = /\/dist\/([^/]+)/;

/** The tree of calls, without the time in which nothing ran. */
export function callTree({ nodes, samples, timeDeltas }: CpuProfile): Frame {
  const selfUs = new Map<number, number>();
  for (const [at, id] of samples.entries()) {
    selfUs.set(id, (selfUs.get(id) ?? 0) + (timeDeltas[at] ?? 0));
  }
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const frameOf = (node: ProfileNode): Frame => {
    const children = (node.children ?? [])
      .flatMap((id) => byId.get(id) ?? [])
      .filter(({ callFrame }) => callFrame.functionName !== IDLE)
      .map(frameOf);
    const own = node.callFrame.functionName === IDLE ? 0 : (selfUs.get(node.id) ?? 0);
    return {
      name: nameOf(node),
      origin: originOf(node),
      selfUs: own,
      totalUs: children.reduce((sum, { totalUs }) => sum + totalUs, own),
      children,
    };
  };
  const [root] = nodes;
  if (root === undefined) throw new Error('the profile has no nodes');
  return frameOf(root);
}

/** Time in each function itself. */
export function byFunction(root: Frame): Shares {
  return sharesOf(root, ({ name, origin }) => `${name}  ${origin}`);
}

/** Time in each package, folder of ours, or part of node. */
export function byOrigin(root: Frame): Shares {
  return sharesOf(root, ({ origin }) => origin);
}

function sharesOf(root: Frame, keyOf: (frame: Frame) => string): Shares {
  const sums = new Map<string, number>();
  const add = (frame: Frame): void => {
    const key = keyOf(frame);
    sums.set(key, (sums.get(key) ?? 0) + frame.selfUs);
    for (const child of frame.children) add(child);
  };
  add(root);
  return [...sums].sort(([, one], [, other]) => other - one);
}

function nameOf({ callFrame: { functionName, url, lineNumber } }: ProfileNode): string {
  const file = url.slice(url.lastIndexOf('/') + 1);
  const name = functionName === '' ? '(anonymous)' : functionName;
  return file === '' ? name : `${name} ${file}:${lineNumber + 1}`;
}

function originOf({ callFrame: { functionName, url } }: ProfileNode): string {
  const [, name] = PACKAGE.exec(url) ?? [];
  if (name !== undefined) return name;
  const [, folder] = OURS.exec(url) ?? [];
  if (folder !== undefined) return `tidegate ${folder}`;
  if (url.startsWith('node:')) return 'node';
  return functionName.startsWith('(') ? functionName : 'native';
}
