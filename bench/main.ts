// npm run bench -- --workers 5 --iters 1000: the concurrent benchmark against a running server.
import Table from 'cli-table3'
import { Command, InvalidArgumentError, Option } from 'commander'
import { type ConcurrentReport, runConcurrent } from './concurrent.js'
import { type ServiceName, VERBS } from './protocol.js'

interface Flags {
  readonly address: string
  readonly workers: number
  readonly iters: number
  readonly service: ServiceName
}

function positive(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('a whole number >= 1 is needed')
  return value
}

function readFlags(): Flags {
  return new Command('bench')
    .description('Worker processes that put, get and delete in equal parts, one operation after the other each.')
    .option('--address <host:port>', 'the server', 'localhost:7000')
    .option('--workers <count>', 'processes', positive, 5)
    .option('--iters <count>', 'operations of each', positive, 1000)
    .addOption(new Option('--service <name>', 'what to speak').choices(['compat', 'kvorum']).default('compat'))
    .parse()
    .opts<Flags>()
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

const { address, workers, iters, service } = readFlags()
console.error(`bench: ${workers} workers, ${iters} operations each, ${service} at ${address}`)
const report = await runConcurrent({ address, service, workers, iterations: iters })
console.log(render(report))
process.exitCode = report.errors === 0 ? 0 : 1
