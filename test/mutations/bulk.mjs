// Faults in import and export.

const IMPORT = 'orchestrator/cli/bulk/import.test.ts'
const EXPORT = 'orchestrator/cli/bulk/export.test.ts'
const FORMAT = 'orchestrator/cli/bulk/format.test.ts'

export const BULK = [
  {
    name: 'import-behind-a-failure',
    says: 'an import counts rows as done that come behind one that failed',
    file: 'orchestrator/cli/bulk/put-rows.ts',
    find: 'if (this.#stuck) continue',
    replace: 'if (this.#stuck && batch === undefined) continue',
    test: IMPORT,
    shows: /FAIL.*after a failure the same command goes on/,
  },
  {
    name: 'import-keys-at-once',
    says: 'two rows of one key are on their way at once',
    file: 'orchestrator/cli/bulk/put-rows.ts',
    find: 'if (this.#names.has(name)) {',
    replace: 'if (this.#names.has(name) && names.length < 0) {',
    test: IMPORT,
    shows: /FAIL.*rows of one key are put in their order/,
  },
  {
    name: 'import-of-another-file',
    says: 'an import goes on in a file that began otherwise',
    file: 'orchestrator/cli/bulk/import-place.ts',
    find: "hash.copy().digest('hex') === sha256",
    replace: "hash.copy().digest('hex') !== ''",
    test: IMPORT,
    shows: /FAIL.*behind the same bytes only/,
  },
  {
    name: 'export-torn-tail',
    says: 'an export goes on without cutting off what was torn',
    file: 'orchestrator/cli/bulk/export-target.ts',
    find: 'await part.truncate(bytes)',
    replace: 'await part.truncate(size)',
    test: EXPORT,
    shows: /FAIL.*it goes on behind the last whole row/,
  },
  {
    name: 'csv-quotes-not-doubled',
    says: 'a quote inside a field of CSV is written as it is',
    file: 'orchestrator/cli/bulk/csv.ts',
    find: `text.replaceAll('"', '""')`,
    replace: 'text',
    test: FORMAT,
    shows: /FAIL.*any bytes come back as they were/,
  },
]
