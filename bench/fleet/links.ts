// Who is connected to whom, and what bounds that.
import { type Fleet, KNOWN } from './inputs.js'
import type { Section } from './section.js'

export function linksSection(fleet: Fleet): Section {
  const { shards, replicas, gateways, clients } = fleet
  const nodes = (shards + 1) * replicas
  const perGateway = Math.ceil(clients / gateways)
  const verdict = (needed: number, bound: number) =>
    needed <= bound ? 'fits' : `${(needed / bound).toFixed(0)} times too many`
  const lanes = gateways * shards
  return {
    title: 'Connections',
    head: ['from', 'to', 'each has', 'each gets', 'bound', ''],
    rows: [
      ['gateways', 'leaders (a lane each)', shards, gateways, KNOWN.lanes.value, verdict(gateways, KNOWN.lanes.value)],
      [
        'direct clients',
        'leaders (a lane each)',
        shards,
        clients,
        KNOWN.lanes.value,
        verdict(clients, KNOWN.lanes.value),
      ],
      [
        'clients',
        'gateways (a Batch stream)',
        1,
        perGateway,
        KNOWN.gatewayStreams.value,
        verdict(perGateway, KNOWN.gatewayStreams.value),
      ],
      ['the orchestrator', 'nodes (a Watch stream)', nodes, 1, '', 'none'],
    ],
    notes: [
      `${lanes.toLocaleString('en')} lanes of gateways. A lane gathers what comes while a message is under way, about 1 ms: below ` +
        `${(1000 * lanes).toExponential(0)} puts/s hardly two share a message, below ${(1000 * shards).toExponential(0)} hardly two an entry. ` +
        `A put alone costs the nodes ${KNOWN.putAlone.value} us of CPU, one among 64 costs ${KNOWN.putGathered.value}. Shards that only some ` +
        'of the gateways ask would gather again.',
      'A Watch stream is silent while nothing but indices changes; keepalive is a ping each 20 s: ' +
        `${(nodes / 20).toFixed(0)} pings/s. Adopted processes on the orchestrator's own machine are looked at twice a second.`,
    ],
  }
}
