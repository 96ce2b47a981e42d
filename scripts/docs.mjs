// npm run docs: the reference of what `kvorum` and `kvorum/client` export, as pages in dist/docs. Its warnings are errors: a type
// that is used and not exported, a link that leads nowhere.
import { spawnSync } from 'node:child_process'
import { build } from './build/build.mjs'
import { die } from './build/fault.mjs'
import { inRoot } from './build/root.mjs'

await build({ forTests: false }).catch(die)
const options = [
  ...['--entryPoints', 'orchestrator/index.ts', '--entryPoints', 'orchestrator/client/public.ts'],
  ...['--out', 'dist/docs', '--name', 'Kvorum', '--readme', 'none', '--excludePrivate', '--excludeInternal'],
  ...['--treatWarningsAsErrors', '--disableSources', '--skipErrorChecking'],
  // Its members are those of the config file: npm start -- --help tells of each.
  ...['--intentionallyNotExported', 'orchestrator/config/load.ts:Config'],
  // What a transaction is made of inside.
  ...['Step', 'Comparison'].flatMap((name) => [
    '--intentionallyNotExported',
    `orchestrator/core/transaction.ts:${name}`,
  ]),
  ...['Execute', 'Parts', 'RepliesOf'].flatMap((name) => [
    '--intentionallyNotExported',
    `orchestrator/client/transaction.ts:${name}`,
  ]),
]
const { status } = spawnSync(inRoot('node_modules', '.bin', 'typedoc'), options, { cwd: inRoot(), stdio: 'inherit' })
process.exitCode = status ?? 1
