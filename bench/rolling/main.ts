// npm run bench -- rolling [--rate 5000] [--shards 3] [--replicas 3]
// Restarts every node of a cluster, one after the other, under a load of a fixed rate, and shows how long the calls took.
import { readOptions } from '../../orchestrator/cli/flags.js'
import { ControlClient, OperationState } from '../../orchestrator/wire/control.js'
import { besideTraffic, type Scene, type TrafficFlags, trafficCommand } from '../load/beside-traffic.js'
import { interrupted } from '../load/interrupt.js'
import type { Traffic } from '../load/traffic.js'

const CALL = { deadlineMs: 10_000 }

async function restartAll({ cluster, load }: Scene) {
  const control = new ControlClient(cluster.address)
  try {
    await restart(control, load)
  } finally {
    control.close()
  }
  return (tookMs: number) => [`every node was restarted in ${(tookMs / 1_000).toFixed(1)} s`, ...load.story]
}

async function restart(control: ControlClient, load: Traffic): Promise<void> {
  let last = ''
  const { id } = await control.restart('', CALL)
  for await (const { state, detail } of control.watch(id, interrupted)) {
    if (detail !== last) load.note(detail)
    last = detail
    if (state === OperationState.PAUSED) throw new Error(detail)
  }
}

const flags: TrafficFlags = readOptions(trafficCommand('rolling', 'A rolling restart', 5_000))
await besideTraffic(flags, { name: 'rolling restart', warmMs: 8_000, work: restartAll })
