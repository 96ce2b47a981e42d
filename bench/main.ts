// npm run bench -- --workers 5 --iters 1000: the concurrent benchmark against a running server.
import Table from 'cli-table3'
import { Command, Option } from 'commander'
import { EXIT } from '../orchestrator/cli/exit-codes.js'
import { DEFAULT_ADDRESS, hostPort, readOptions, wholeNumber } from '../orchestrator/cli/flags.js'
import { openClient } from './client.js'
import { type ConcurrentReport, runConcurrent } from './concurrent.js'
import { firstAnswer } from './first-answer.js'
import { DEFAULT_SERVICE, SERVICES, type ServiceName, VERBS } from './protocol.js'

/** The exit code of a benchmark that is no figure. */
const OPERATIONS_FAILED = 1
/** Each is a process of some 50 MiB: past this the benchmark would measure a machine without memory. */
const WORKERS_MAX = 64
/** Every latency is kept until the end. */
const ITERATIONS_MAX = 10_000_000

interface Flags {
  readonly address: string
  readonly workers: number
  readonly iters: number
  readonly service: ServiceName
}

function readFlags(): Flags {
  const command = new Command('bench')
    .description('Worker processes that put, get and delete in equal parts, one operation after the other each.')
    .option('--address <host:port>', 'the server', hostPort, DEFAULT_ADDRESS)
    .option('--workers <count>', `processes, at most ${WORKERS_MAX}`, wholeNumber(1, WORKERS_MAX), 5)
    .option('--iters <count>', 'operations of each', wholeNumber(1, ITERATIONS_MAX), 1000)
    .addOption(new Option('--service <name>', 'what to speak').choices(SERVICES).default(DEFAULT_SERVICE))
    .addHelpText('after', '\nExit codes: 0 done, 1 operations failed, 2 wrong usage, 3 no server.')
  return readOptions(command)
}

function render({ seconds, operations, errors, firstError, latency }: ConcurrentReport): string {
  const table = new Table({
    head: ['operation', 'count', 'p50 ms', 'p99 ms', 'max ms'],
    colAligns: ['left', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  })
  for (const verb of VERBS) {
    const of = latency[verb]
    const times = [of.percentile(50), of.percentile(99), of.maxMs]
    table.push([verb, String(of.count), ...times.map((ms) => ms.toFixed(2))])
  }
  const rate = ((operations - errors) / seconds).toFixed(0)
  const total = `${operations} operations in ${seconds.toFixed(2)} s: ${rate} operations/s, ${errors} errors`
  return [table.toString(), total, ...(errors > 0 ? [`first error: ${firstError}`] : [])].join('\n')
}

async function main(): Promise<number> {
  const { address, workers, iters, service } = readFlags()
  const client = openClient(service, address)
  const fault = await firstAnswer(address, () => client.run('get', 'bench', '')).finally(() => client.close())
  if (fault !== undefined) {
    console.error(`bench: ${fault}`)
    return EXIT.failed
  }
  console.error(`bench: ${workers} workers, ${iters} operations each, ${service} at ${address}`)
  const report = await runConcurrent({ address, service, workers, iterations: iters })
  console.log(render(report))
  return report.errors === 0 ? EXIT.ok : OPERATIONS_FAILED
}

process.exitCode = await main()
