// Faults in deletions of prefixes.

const LIVES = 'orchestrator/control/operations/deletion.test.ts'
const KILLS = 'orchestrator/control/operations/delete-kills.test.ts'

export const DELETION = [
  {
    name: 'deleted-whatever-the-version',
    says: 'a deletion takes keys away that were written after it has read them',
    file: 'orchestrator/control/operations/deletion.ts',
    find: '{ ifVersion: version, deadlineMs: STEP_MS }',
    replace: '{ deadlineMs: version === 0n ? 0 : STEP_MS }',
    test: LIVES,
    shows: /FAIL.*what was there and is not written is deleted/,
  },
  {
    name: 'deleted-without-a-note',
    says: 'an orchestrator deletes what it has read without asking whether another one has taken over',
    file: 'orchestrator/control/operations/deletion.ts',
    find: '    if (page.entries.length === 0) return false\n    await this.#note()\n',
    replace: '    if (page.entries.length === 0) return false\n',
    test: LIVES,
    shows: /FAIL.*what was there and is not written is deleted/,
  },
  {
    name: 'noted-before-deleted',
    says: 'the cursor that is written down is that of the stretch that is about to be deleted',
    file: 'orchestrator/control/operations/deletion.ts',
    find: '    await this.#note()\n    for (',
    replace: '    this.#cursor = page.entries.at(-1)?.key\n    await this.#note()\n    for (',
    test: KILLS,
    shows: /FAIL.*is followed by one that finishes it/,
  },
  {
    name: 'asked-again-for-nothing',
    says: 'who asks for a deletion that has passed his keys is told that they are gone',
    file: 'orchestrator/control/operations/delete-prefix.ts',
    find: '{ ...open, again: true }',
    replace: 'open',
    test: LIVES,
    shows: /FAIL.*what was there and is not written is deleted/,
  },
  {
    name: 'stretch-of-another-time',
    says: 'who stood still in the middle of a stretch goes on with it, though it was cancelled meanwhile',
    file: 'orchestrator/control/operations/deletion.ts',
    find: '- this.#notedAt > NOTE_MS',
    replace: '- this.#notedAt > 1e9 * NOTE_MS',
    test: LIVES,
    shows: /FAIL.*looks first whether it is its own still/,
  },
]
