import { readFile } from 'node:fs/promises';

/** One system call that has returned, or that was under way when the process ended. */
export interface SystemCall {
  readonly name: string;
  /** All between the brackets, as strace prints it. */
  readonly args: string;
  /** Undefined when it never returned. */
  readonly result: number | undefined;
  /** Number of the line of the trace that shows its start: what is on an earlier line was before. */
  readonly startLine: number;
  /** Number of the line that shows its return. Infinity when it never returned. */
  readonly endLine: number;
}

/** Calls that change files, and those that carry bytes of sockets. */
const TRACED =
  'openat,creat,write,writev,pwrite64,pwritev,fdatasync,fsync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,ftruncate,truncate,fallocate,link,linkat,read,readv,recvfrom,recvmsg,sendto,sendmsg';
/** More than any single write, so that nothing is left out. */
const SHOWN_BYTES = 16 * 1024 * 1024;

/** The command before a command whose calls {@link readTrace} is to read from that file. */
export function traceInto(file: string): string[] {
  const shown = ['-yy', '-xx', '-s', String(SHOWN_BYTES)];
  const traced = ['-e', `trace=${TRACED}`, '-e', 'signal=none'];
  return ['strace', '-f', '--seccomp-bpf', ...shown, ...traced, '-o', file];
}

/** Reads a trace; lines are numbered from `firstLine` on. Calls come in the order of their ends. */
export async function readTrace(file: string, firstLine: number): Promise<SystemCall[]> {
  const lines = (await readFile(file, 'latin1')).split('\n');
  const calls: SystemCall[] = [];
  const unfinished = new Map<string, { name: string; args: string; startLine: number }>();
  for (const [index, line] of lines.entries()) {
    const at = firstLine + index;
    const thread = line.slice(0, line.indexOf(' '));
    const text = line.slice(thread.length).trimStart();
    const resumed = /^<\.\.\. \w+ resumed>/.exec(text);
    if (resumed !== null) {
      const begun = unfinished.get(thread);
      unfinished.delete(thread);
      if (begun !== undefined) calls.push(ended(begun, text.slice(resumed[0].length), at));
    } else {
      const name = /^(\w+)\(/.exec(text)?.[1];
      if (name === undefined) continue;
      const call = { name, args: '', startLine: at };
      const rest = text.slice(name.length + 1);
      const cut = rest.lastIndexOf(' <unfinished ...>');
      if (cut < 0) calls.push(ended(call, rest, at));
      else unfinished.set(thread, { ...call, args: rest.slice(0, cut) });
    }
  }
  for (const begun of unfinished.values()) {
    calls.push({ ...begun, result: undefined, endLine: Number.POSITIVE_INFINITY });
  }
  return calls;
}

function ended(
  begun: { name: string; args: string; startLine: number },
  rest: string,
  endLine: number,
): SystemCall {
  const close = rest.lastIndexOf(') ');
  const result = /=\s+(-?\d+)/.exec(rest.slice(close))?.[1];
  const args = begun.args + rest.slice(0, close);
  return { ...begun, args, endLine, result: result === undefined ? undefined : Number(result) };
}

/** What the file descriptor in front of the arguments is: a path, or `TCP:[from->to]`. */
export function describedFd(call: SystemCall): string {
  const start = call.args.indexOf('<') + 1;
  const end = call.args.search(/>(?:,|$)/);
  return unescaped(call.args.slice(start, end)).toString();
}

/** The quoted bytes in the arguments, one after the other. */
export function quotedBytes(call: SystemCall): Buffer[] {
  const found: Buffer[] = [];
  for (let open = call.args.indexOf('"'); open >= 0; ) {
    const close = call.args.indexOf('"', open + 1);
    if (call.args.startsWith('...', close + 1)) throw new Error('the trace has bytes cut off');
    found.push(unescaped(call.args.slice(open + 1, close)));
    open = call.args.indexOf('"', close + 1);
  }
  return found;
}

/** The bytes that were really transferred by a call that has returned. */
export function transferred(call: SystemCall): Buffer {
  return Buffer.concat(quotedBytes(call)).subarray(0, Math.max(0, call.result ?? 0));
}

function unescaped(text: string): Buffer {
  return text.startsWith('\\x')
    ? Buffer.from(text.replaceAll('\\x', ''), 'hex')
    : Buffer.from(text);
}
