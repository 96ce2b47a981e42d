// npm run sanity -- --address localhost:7000 --populate 1000 --iters 1000
// Against any server: `--service compat` speaks only the package-less contract.
import { Command, Option } from 'commander'
import { firstAnswer } from '../../bench/first-answer.js'
import { DEFAULT_SERVICE, SERVICES, type ServiceName } from '../../bench/protocol.js'
import { EXIT } from '../../orchestrator/cli/exit-codes.js'
import { DEFAULT_ADDRESS, hostPort, readOptions, wholeNumber } from '../../orchestrator/cli/flags.js'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { CompatClient } from '../compat/client.js'
import type { TextClient } from '../harness/workload.js'
import { runSanity } from './suite.js'
import { isSane, renderReport } from './table.js'

/** The exit code of a store that disagrees, or does not answer every operation. */
const NOT_SANE = 1
const SEEDS = 1_000_000
const SEED_MAX = 2 ** 32 - 1
const COUNT_MAX = 1_000_000_000

interface Flags {
  readonly address: string
  readonly populate: number
  readonly iters: number
  readonly seed?: number
  readonly service: ServiceName
}

function readFlags(): Flags {
  const count = wholeNumber(0, COUNT_MAX)
  const command = new Command('sanity')
    .description('Random operations on a store and on a Map, which must agree on every answer.')
    .option('--address <host:port>', 'the server', hostPort, DEFAULT_ADDRESS)
    .option('--populate <count>', 'puts before the mix', count, 1000)
    .option('--iters <count>', 'operations of the mix', count, 1000)
    .option('--seed <number>', 'repeats a run (default: another one each time)', wholeNumber(0, SEED_MAX))
    .addOption(new Option('--service <name>', 'what to speak').choices(SERVICES).default(DEFAULT_SERVICE))
    .addHelpText('after', '\nExit codes: 0 sane, 1 not sane, 2 wrong usage, 3 no server.')
  return readOptions(command)
}

async function check(client: TextClient, { address, populate, iters, seed }: Required<Flags>): Promise<number> {
  const fault = await firstAnswer(address, () => client.get('sanity'))
  if (fault !== undefined) {
    // Nothing is known of a store that is not there.
    console.error(`sanity: ${fault}`)
    return EXIT.failed
  }
  console.error(`sanity: ${address}, seed ${seed}`)
  const onProgress = (done: number, total: number): void => console.error(`sanity: ${done} of ${total}`)
  const report = await runSanity(client, { populate, iterations: iters, seed, onProgress })
  console.log(renderReport(report))
  const sane = isSane(report)
  console.log(sane ? 'sane: the store and the Map agree' : `NOT SANE; again with --seed ${seed}`)
  return sane ? EXIT.ok : NOT_SANE
}

async function main(): Promise<number> {
  const flags = readFlags()
  const { address, service, seed = Date.now() % SEEDS } = flags
  const client = service === 'compat' ? new CompatClient(address) : new RequestWrapper(address)
  try {
    return await check(client, { ...flags, seed })
  } finally {
    client.close()
  }
}

process.exitCode = await main()
