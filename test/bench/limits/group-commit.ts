import { BenchProcess } from '../bench-process.ts';

export interface GroupCommitOptions {
  readonly dir: string;
  readonly durationMs: number;
  readonly payloadBytes: number;
  /** Records of one synced write. */
  readonly batch: number;
}

/** Records a second that LevelDB takes with `sync: true`, in batches, with nothing around it: the limit of the disk side. */
export async function groupCommit(options: GroupCommitOptions): Promise<number> {
  const { perSecond } = await BenchProcess.start('limits/group-commit-process.ts', options).said(
    'done',
  );
  return Number(perSecond);
}
