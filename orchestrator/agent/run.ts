import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { DataDirectory } from '../control/data-directory.js'
import { localDriver } from '../control/drivers/local.js'
import { UsageFault } from '../control/faults.js'
import { THIS_MACHINE } from '../control/machines.js'
import { stopOnSignals } from '../control/stop-signals.js'
import { type Clock, systemClock } from '../core/clock.js'
import type { Telemetry } from '../telemetry/index.js'
import { agentService } from '../wire/agent.js'
import { listen } from '../wire/listener.js'
import { Agent } from './agent.js'
import { AgentRecord } from './record.js'

export interface RunOptions {
  /** host:port; the host is where its nodes listen too. Port 0 takes a free one. */
  readonly listen: string
  readonly insecure: boolean
  readonly data: string
  readonly name: string
  readonly zone: string
  /** The node program. */
  readonly program: string
  readonly version: string
  readonly telemetry: Telemetry
  readonly clock?: Clock
}

export interface OpenAgent {
  /** With the port that was taken. */
  readonly address: string
  /** How many processes it knows of; they go on when it is closed. */
  readonly running: number
  close(): Promise<void>
}

const NAME = /^[A-Za-z0-9._-]{1,64}$/
/** How long calls that are under way may take to end. */
const GRACE_MS = 500

/** Takes the data directory and listens. Rejects with a StartFault or a ListenError. */
export async function openAgent(options: RunOptions): Promise<OpenAgent> {
  const { name, zone, version, program, telemetry, clock = systemClock } = options
  const { host, port } = placeToListen(options)
  for (const word of [name, zone]) expectName(word)
  const driver = (flags: readonly string[]) => localDriver({ program, flags, host, clock })
  driver([]).check()
  const directory = new DataDirectory(options.data)
  directory.prepare()
  const record = await AgentRecord.open(join(directory.path, 'agent'))
  try {
    const about = { name, zone, version, processors: availableParallelism() }
    const agent = new Agent({ about, directory, record, driver, telemetry })
    const listener = await listen({ host, port, insecure: options.insecure, option: '--listen', clock }, [
      agentService(agent, clock),
    ])
    return {
      address: listener.address,
      get running() {
        return agent.running
      },
      close: async () => {
        await listener.close(GRACE_MS)
        agent.close()
        await record.close()
      },
    }
  } catch (error) {
    await record.close()
    throw error
  }
}

/** What a person is told. */
export interface Words {
  readonly out: (text: string) => void
  readonly warn: (text: string) => void
}

/** Runs an agent until a signal ends it. Its nodes go on: they are the orchestrator's to stop. */
export async function runAgent(options: RunOptions, { out, warn }: Words): Promise<void> {
  const agent = await openAgent(options)
  const stop = stopOnSignals(process, options.clock ?? systemClock, options.telemetry)
  const { name, zone, data } = options
  out(`kvorum agent ready listen=${agent.address} name=${name} zone=${zone} data=${data}\n`)
  await new Promise<void>((resolve) => {
    if (stop.asked.aborted) resolve()
    else stop.asked.addEventListener('abort', () => resolve(), { once: true })
  })
  const { running } = agent
  await agent.close()
  const left = running === 0 ? 'no node runs' : `${running} of its nodes go on running; the next agent finds them`
  warn(`kvorum agent ${name} stopped; ${left}\n`)
}

function placeToListen({ listen: place }: RunOptions): { readonly host: string; readonly port: number } {
  const [, bracketed, plain, port = ''] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(place) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535) {
    throw new UsageFault(`--listen ${place}: host:port is needed, like 10.0.0.5:7100`)
  }
  if (/^(?:0\.0\.0\.0|::|\*)$/.test(host)) {
    throw new UsageFault(`--listen ${place}: the address is needed that other machines reach: nodes listen on it too`)
  }
  return { host, port: Number(port) }
}

function expectName(name: string): void {
  if (NAME.test(name) && name !== THIS_MACHINE) return
  throw new UsageFault(
    `"${name}" cannot be the name of a machine or zone: 1-64 of A-Z a-z 0-9 . _ -, not ${THIS_MACHINE}`,
  )
}
