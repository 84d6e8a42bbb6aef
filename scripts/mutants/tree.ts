import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type Mutant, mutated } from './mutant.ts';

/** Linked, made anew, or of no use to a test. */
const NOT_COPIED: ReadonlySet<string> = new Set(['node_modules', 'dist', '.git', '.bench', 'data']);

/** A copy of the repository that may be broken. */
export class Tree {
  readonly root: string;

  private constructor(root: string) {
    this.root = root;
  }

  static async copyOf(repository: string): Promise<Tree> {
    const root = await mkdtemp(join(tmpdir(), 'tidegate-mutants-'));
    await cp(repository, root, {
      recursive: true,
      filter: (path) => path === repository || !NOT_COPIED.has(basename(path)),
    });
    await symlink(join(repository, 'node_modules'), join(root, 'node_modules'));
    return new Tree(root);
  }

  /**
   * Puts the mutant in. Resolves with what takes it out again.
   * @throws {Error} when the mutant does not fit.
   */
  async breakBy(mutant: Mutant): Promise<() => Promise<void>> {
    const path = join(this.root, mutant.file);
    const source = await readFile(path, 'utf8');
    await writeFile(path, mutated(source, mutant));
    return () => writeFile(path, source);
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}
