import { expect, test } from 'vitest';
import { isAnotherMachine, readMachine } from './machine.ts';

const ID = '/etc/machine-id';
const SERIAL = '/proc/device-tree/serial-number';
const UUID = '/sys/class/dmi/id/product_uuid';

/** A machine with these files; others cannot be read. */
async function machineWith(files: Readonly<Record<string, string>>): Promise<string> {
  const machine = await readMachine(async (path) => {
    const text = files[path];
    if (text === undefined) throw new Error('EACCES');
    return text;
  });
  return machine ?? expect.fail('nothing tells the machine');
}

const PI = { [ID]: '3d1219c7c4c5404aaa1f6d2a48adfda4\n', [SERIAL]: '10000000a1b2c3d4\0' };

test('a machine is the same at every start, and none of its identifiers can be read from it', async () => {
  const [one, again] = [await machineWith(PI), await machineWith(PI)];
  expect(isAnotherMachine(one, again)).toBe(false);
  expect(one).toMatch(/^id=[0-9a-f]{16} serial=[0-9a-f]{16}$/);
  expect(one).not.toContain('3d1219c7');
});

test.each([
  ['a card cloned for a second board', { ...PI, [SERIAL]: '10000000ffff0000\0' }],
  ['a folder copied to another installation', { ...PI, [ID]: 'b'.repeat(32) }],
  ['a folder copied to a board of another kind', { [ID]: 'b'.repeat(32), [UUID]: 'c-1' }],
])('%s is another machine', async (_what, files) => {
  expect(isAnotherMachine(await machineWith(PI), await machineWith(files))).toBe(true);
  expect(isAnotherMachine(await machineWith(files), await machineWith(PI))).toBe(true);
});

test('what only one of two starts could read says nothing', async () => {
  const asRoot = await machineWith({ [ID]: 'a'.repeat(32), [UUID]: 'c-1' });
  const asUser = await machineWith({ [ID]: 'a'.repeat(32) });
  expect(isAnotherMachine(asRoot, asUser)).toBe(false);
  expect(isAnotherMachine(asUser, asRoot)).toBe(false);
  expect(isAnotherMachine(await machineWith({ [UUID]: 'c-1' }), asUser)).toBe(false);
});

test('files that are missing, empty or not filled in tell nothing', async () => {
  const nothing: Readonly<Record<string, string>> = {
    [ID]: 'uninitialized\n',
    [SERIAL]: '\0',
    [UUID]: '00000000-0000-0000',
  };
  expect(await readMachine(async (path) => nothing[path] ?? '')).toBeUndefined();
  expect(await readMachine(() => Promise.reject(new Error('ENOENT')))).toBeUndefined();
});
