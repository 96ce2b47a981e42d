// npm run sanity -- --address localhost:7000 --populate 1000 --iters 1000
// Against any server: `--service compat` speaks only the package-less contract.
import { Command, InvalidArgumentError, Option } from 'commander'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { CompatClient } from '../compat/client.js'
import type { TextClient } from '../harness/workload.js'
import { runSanity } from './suite.js'
import { isSane, renderReport } from './table.js'

interface Flags {
  readonly address: string
  readonly populate: number
  readonly iters: number
  readonly seed: number
  readonly service: 'kvorum' | 'compat'
}

function count(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('a whole number >= 0 is needed')
  return value
}

function readFlags(): Flags {
  return new Command('sanity')
    .description('Random operations on a store and on a Map, which must agree on every answer.')
    .option('--address <host:port>', 'the server', 'localhost:7000')
    .option('--populate <count>', 'puts before the mix', count, 1000)
    .option('--iters <count>', 'operations of the mix', count, 1000)
    .option('--seed <number>', 'repeats a run', count, Date.now() % 1_000_000)
    .addOption(new Option('--service <name>', 'what to speak').choices(['kvorum', 'compat']).default('kvorum'))
    .parse()
    .opts<Flags>()
}

async function main(): Promise<void> {
  const { address, populate, iters, seed, service } = readFlags()
  const client: TextClient & { close(): void } =
    service === 'compat' ? new CompatClient(address) : new RequestWrapper(address)
  console.error(`sanity: ${address}, seed ${seed}`)
  const onProgress = (done: number, total: number): void => console.error(`sanity: ${done} of ${total}`)
  try {
    const report = await runSanity(client, { populate, iterations: iters, seed, onProgress })
    console.log(renderReport(report))
    const sane = isSane(report)
    console.log(sane ? 'sane: the store and the Map agree' : `NOT SANE; again with --seed ${seed}`)
    process.exitCode = sane ? 0 : 1
  } finally {
    client.close()
  }
}

await main()
