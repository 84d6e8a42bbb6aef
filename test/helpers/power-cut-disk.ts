import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import type { Random } from '../../firmware-sim/random.ts';
import { describedFd, quotedBytes, type SystemCall } from './strace-log.ts';

/** How often the end of a file is torn, and how often it is whole otherwise. */
const TORN_SHARE = 0.4;
const KEPT_SHARE = 0.5;

/** The store's own folder and that of LevelDB. */
const LASTING_FOLDERS: readonly string[] = ['.', 'db'];

/** A change of a file's content. */
interface DataChange {
  readonly endLine: number;
  /** Where the bytes go; undefined is behind the last. */
  readonly at: number | undefined;
  /** Undefined cuts the file off at `at`. */
  readonly bytes: Buffer | undefined;
}

/** A change of a folder: the name stands for that file from now on, or for none. */
interface NameChange {
  readonly endLine: number;
  readonly names: readonly (readonly [string, Inode | undefined])[];
}

class Inode {
  readonly changes: DataChange[] = [];
  /** So many changes are on the medium. */
  durable = 0;
}

class Folder {
  readonly changes: NameChange[] = [];
  readonly names = new Map<string, Inode>();
  durable = 0;

  change(endLine: number, names: NameChange['names']): void {
    this.changes.push({ endLine, names });
    for (const [name, inode] of names) {
      if (inode === undefined) this.names.delete(name);
      else this.names.set(name, inode);
    }
  }
}

/**
 * A folder as a power cut leaves it, made from the system calls on it since it was empty. The model:
 *
 * - The content of a file is lasting as far as it was written when an `fsync` or `fdatasync` of it began that has
 *   returned. Of what was written later a prefix is kept: nothing, all, or up to a byte of some write (torn).
 * - Changes of a folder (create, rename, unlink) last in their order: up to the last one that a returned `fsync` of
 *   the folder covers, and any number of those behind it.
 * - A sync of a file makes the name lasting under which it was made, with all earlier changes of that folder: POSIX
 *   does not promise it, ext4, XFS and Btrfs do, and LevelDB relies on it for its log.
 * - Of other folders than the store's and that of LevelDB nothing lasts: the store syncs none of them.
 * - Files do not wait for each other, folders neither. Folders themselves are lasting when made.
 * - What was under way at the cut counts as done and not synced.
 */
export class PowerCutDisk {
  readonly #root: string;
  readonly #folders = new Map<string, Folder>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Builds what the cut at that line of the trace leaves, in an empty folder. */
  static async build(options: {
    readonly root: string;
    readonly calls: readonly SystemCall[];
    readonly cutLine: number;
    readonly random: Random;
    readonly into: string;
  }): Promise<void> {
    const disk = new PowerCutDisk(options.root);
    for (const call of options.calls) {
      if (call.startLine < options.cutLine) disk.#apply(call, options.cutLine);
    }
    await disk.#leave(options.random, options.into);
  }

  /** True for calls that matter here. */
  static concerns(root: string, call: SystemCall): boolean {
    if ((call.result ?? 0) < 0 || /^(?:read|recv|send)/.test(call.name)) return false;
    if (call.name === 'openat' && !call.args.includes('O_CREAT')) return false;
    const isNamed = call.args.startsWith('"') || /at2?$/.test(call.name);
    const path = isNamed ? String(quotedBytes(call).at(-1)) : describedFd(call);
    return path.startsWith(`${root}/`) || path === root;
  }

  #apply(call: SystemCall, cutLine: number): void {
    const isDone = call.endLine < cutLine;
    switch (call.name) {
      case 'openat':
        this.#open(call);
        break;
      case 'write':
      case 'writev':
        this.#writeTo(call, undefined);
        break;
      case 'pwrite64':
        this.#writeTo(call, Number(/, (\d+)$/.exec(call.args)?.[1]));
        break;
      case 'ftruncate':
        this.#truncate(call, Number(/, (\d+)$/.exec(call.args)?.[1]));
        break;
      case 'fsync':
      case 'fdatasync':
        if (isDone) this.#sync(call);
        break;
      case 'rename':
      case 'renameat':
      case 'renameat2':
        this.#rename(call);
        break;
      case 'link':
      case 'linkat':
        this.#link(call);
        break;
      case 'unlink':
      case 'unlinkat':
        this.#unlink(call);
        break;
      default:
        throw new Error(`the model of the disk does not know ${call.name}`);
    }
  }

  #open(call: SystemCall): void {
    const [folder, name] = this.#place(String(quotedBytes(call)[0]));
    const known = folder.names.get(name);
    if (known === undefined) folder.change(call.endLine, [[name, new Inode()]]);
    else if (call.args.includes('O_TRUNC')) {
      known.changes.push({ endLine: call.endLine, at: 0, bytes: undefined });
    }
  }

  #writeTo(call: SystemCall, at: number | undefined): void {
    const all = Buffer.concat(quotedBytes(call));
    const bytes = call.result === undefined ? all : all.subarray(0, call.result);
    this.#file(call)?.changes.push({ endLine: call.endLine, at, bytes });
  }

  #truncate(call: SystemCall, at: number): void {
    this.#file(call)?.changes.push({ endLine: call.endLine, at, bytes: undefined });
  }

  #sync(call: SystemCall): void {
    const path = describedFd(call);
    const synced = this.#folders.get(relative(this.#root, path) || '.');
    if (synced !== undefined) {
      synced.durable = before(synced.changes, call.startLine, synced.durable);
      return;
    }
    const file = this.#file(call);
    if (file === undefined) return;
    file.durable = before(file.changes, call.startLine, file.durable);
    const [folder] = this.#place(path);
    const made = folder.changes.findIndex(({ names }) => names.some(([, inode]) => inode === file));
    folder.durable = Math.max(folder.durable, made + 1);
  }

  #rename(call: SystemCall): void {
    const [from, to] = quotedBytes(call).map(String);
    if (from === undefined || to === undefined) throw new Error('a rename without two names');
    const moved = this.#folders.get(relative(this.#root, from));
    if (moved !== undefined) {
      this.#folders.delete(relative(this.#root, from));
      this.#folders.set(relative(this.#root, to), moved);
      return;
    }
    const [folder, oldName] = this.#place(from);
    const [other, newName] = this.#place(to);
    const gone: [string, undefined] = [oldName, undefined];
    const here: [string, Inode | undefined] = [newName, folder.names.get(oldName)];
    if (folder === other) folder.change(call.endLine, [gone, here]);
    else {
      folder.change(call.endLine, [gone]);
      other.change(call.endLine, [here]);
    }
  }

  #link(call: SystemCall): void {
    const [from = '', to = ''] = quotedBytes(call).map(String);
    const [source, oldName] = this.#place(from);
    const [target, newName] = this.#place(to);
    const inode = source.names.get(oldName);
    if (inode === undefined)
      throw new Error(`the model of the disk does not know the file ${from}`);
    target.change(call.endLine, [[newName, inode]]);
  }

  #unlink(call: SystemCall): void {
    const [folder, name] = this.#place(String(quotedBytes(call)[0]));
    folder.change(call.endLine, [[name, undefined]]);
  }

  #file(call: SystemCall): Inode | undefined {
    const [folder, name] = this.#place(describedFd(call));
    return folder.names.get(name); // undefined when it has been deleted
  }

  #place(path: string): [Folder, string] {
    const key = relative(this.#root, dirname(path)) || '.';
    const folder = this.#folders.get(key) ?? new Folder();
    this.#folders.set(key, folder);
    return [folder, basename(path)];
  }

  async #leave(random: Random, into: string): Promise<void> {
    for (const [key, folder] of this.#folders) {
      if (!LASTING_FOLDERS.includes(key)) continue;
      await mkdir(join(into, key), { recursive: true });
      const names = new Map<string, Inode>();
      const kept = wholeBetween(folder.durable, folder.changes.length, random);
      for (const change of folder.changes.slice(0, kept)) {
        for (const [name, inode] of change.names) {
          if (inode === undefined) names.delete(name);
          else names.set(name, inode);
        }
      }
      for (const [name, inode] of names) {
        await writeFile(join(into, key, name), contentAfterCut(inode, random));
      }
    }
  }
}

/** How many of the changes had returned before that line; never fewer than `known`. */
function before(changes: readonly { endLine: number }[], line: number, known: number): number {
  let count = known;
  while ((changes[count]?.endLine ?? line) < line) count++;
  return count;
}

/** Of what is not durable nothing is kept, all, or all up to a byte of some change. */
function contentAfterCut({ changes, durable }: Inode, random: Random): Buffer {
  const isTorn = random.next() < TORN_SHARE && durable < changes.length;
  const isKept = random.next() < KEPT_SHARE;
  const untorn = isTorn ? wholeBetween(durable, changes.length - 1, random) : undefined;
  const count = untorn ?? (isKept ? changes.length : durable);
  const parts = changes.slice(0, count);
  const torn = untorn === undefined ? undefined : changes[untorn];
  if (torn?.bytes !== undefined) {
    parts.push({
      ...torn,
      bytes: torn.bytes.subarray(0, wholeBetween(0, torn.bytes.length, random)),
    });
  }
  return contentOf(parts);
}

function contentOf(changes: readonly DataChange[]): Buffer {
  const room = changes.reduce((sum, { at = 0, bytes }) => sum + at + (bytes?.length ?? 0), 0);
  const content = Buffer.alloc(room);
  let length = 0;
  for (const { at = length, bytes } of changes) {
    if (bytes === undefined) content.fill(0, at, length);
    else bytes.copy(content, at);
    length = bytes === undefined ? at : Math.max(length, at + bytes.length);
  }
  return content.subarray(0, length);
}

/** A whole number from `low` to `high`, both included. */
function wholeBetween(low: number, high: number, random: Random): number {
  return Math.min(high, Math.floor(random.between(low, high + 1)));
}
