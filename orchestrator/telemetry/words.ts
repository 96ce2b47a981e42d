import type { EventName, Events } from './events.js'

export const LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type Level = (typeof LEVELS)[number]

interface Wording<Name extends EventName> {
  readonly level: Level
  /** One line for a person. */
  readonly say: (event: Events[Name]) => string
}

const REASONS = { drained: 'it is drained', slow: 'its disk is slow', uneven: 'to spread leaders evenly' } as const

export const WORDS: { readonly [Name in EventName]: Wording<Name> } = {
  'start.progress': { level: 'info', say: ({ doing, seconds }) => `${doing} (${seconds.toFixed(1)} s)` },
  'node.adopted': { level: 'info', say: ({ node, pid, address }) => `${node} runs already: pid ${pid}, ${address}` },
  'node.started': { level: 'debug', say: ({ node, pid, address }) => `${node} started: pid ${pid}, ${address}` },
  'node.exited': { level: 'warn', say: ({ node, pid, how, next }) => `${node} (pid ${pid}) ended: ${how}; ${next}` },
  'node.failed': { level: 'error', say: ({ node, reason, next }) => `${node} cannot be started: ${reason}; ${next}` },
  'node.held': { level: 'error', say: ({ node, how, advice }) => `${node} is not started again: ${how}. ${advice}` },
  'node.seeding': {
    level: 'warn',
    say: ({ node, directory }) =>
      `${node} had a damaged engine and takes its data from a peer; the damaged one is kept in ${directory}`,
  },
  'node.moved': { level: 'warn', say: ({ node, from, to }) => `${node} moves from ${from}, which is in use, to ${to}` },
  'node.restarting': {
    level: 'info',
    say: ({ node, pid }) => `${node}${pid === undefined ? '' : ` (pid ${pid})`} is started again, as was asked`,
  },
  'node.killed': {
    level: 'warn',
    say: ({ node, pid, afterMs }) => `${node} (pid ${pid}) did not stop within ${afterMs} ms: killed`,
  },
  'node.refused': { level: 'error', say: ({ node, reason }) => `${node}: ${reason}` },
  'proxy.lost': { level: 'error', say: ({ reason }) => `the proxy between the nodes has ended: ${reason}` },
  'leftovers.stay': {
    level: 'warn',
    say: ({ nodes, machines }) =>
      `what is left of ${nodes.join(', ')} stays until ${machines} answers: nobody needs it, and it is removed then`,
  },
  'machine.answers': {
    level: 'info',
    say: ({ machine, zone, address }) => `machine ${machine} in zone ${zone} answers: ${address}`,
  },
  'machine.silent': {
    level: 'warn',
    say: ({ machine, address, reason }) =>
      `the agent at ${address}${machine === '' ? '' : ` (machine ${machine})`} does not answer: ${reason}. Its nodes may ` +
      'run on; nothing is decided about them',
  },
  'machine.gone': {
    level: 'warn',
    say: ({ machine, silentMs, nodes }) =>
      `nothing has been heard of machine ${machine} for ${Math.round(silentMs / 60_000)} min: its nodes (${nodes}) are ` +
      'replaced on other machines, one after the other',
  },
  'replacement.waits': { level: 'warn', say: ({ node, reason }) => `${node} is not replaced for now: ${reason}` },
  'machines.absent': {
    level: 'warn',
    say: ({ machines, nodes }) =>
      `none of --agents has said that it is machine ${machines.join(', ')}, where ${nodes.join(', ')} ` +
      `${nodes.length === 1 ? 'is' : 'are'}: start its agent, or add it to --agents`,
  },
  'machines.unheard': {
    level: 'warn',
    say: ({ machines, of }) =>
      `${machines.length} of ${of} machines are silent (${machines.join(', ')}): it is rather this orchestrator that is ` +
      'cut off, and no node of them is replaced by itself',
  },
  'machines.few': {
    level: 'warn',
    say: ({ risk }) => `there are too few machines, or zones, for the replicas: ${risk}. Nodes stay where they are now`,
  },
  'nodes.outdated': {
    level: 'info',
    say: ({ count, program }) =>
      `${count} nodes go on with the program that they were started with, which was another than ${program} is now: ` +
      'kvorum restart --rolling replaces it, one node at a time',
  },
  'program.kept': {
    level: 'info',
    say: ({ kept, program }) =>
      `nodes are started with ${kept}, as kvorum upgrade has left it, and not with ${program}: ` +
      `kvorum upgrade --binary ${program} changes that`,
  },
  'shard.led': { level: 'info', say: ({ shard, leader, term }) => `${shard} is led by ${leader} (term ${term})` },
  'shard.leaderless': { level: 'warn', say: ({ shard }) => `${shard} has no leader that answers` },
  'leader.moves': {
    level: 'info',
    say: ({ shard, from, to, why }) => `${shard}: leadership goes from ${from} to ${to} (${REASONS[why]})`,
  },
  'leader.stays': {
    level: 'info',
    say: ({ shard, from, to, reason }) => `${shard}: leadership did not go from ${from} to ${to}: ${reason}`,
  },
  'machine.slow': {
    level: 'warn',
    say: ({ machine }) =>
      `the disk of machine ${machine} is much slower than those of the others: leaders are kept off it`,
  },
  'machine.well': {
    level: 'info',
    say: ({ machine }) => `the disk of machine ${machine} is as fast as the others again`,
  },
  'nodes.drained': {
    level: 'info',
    say: ({ nodes }) => `drained, and to lead nothing until kvorum node undrain: ${nodes.join(', ')}`,
  },
  'nodes.undrained': { level: 'info', say: ({ nodes }) => `not drained any more: ${nodes.join(', ')}` },
  'map.published': { level: 'debug', say: ({ epoch }) => `cluster map ${epoch} is published` },
  'map.stale': { level: 'warn', say: ({ epoch, reason }) => `going on with cluster map ${epoch}: ${reason}` },
  'operation.begun': { level: 'info', say: ({ id, what }) => `operation ${id}: ${what}` },
  'move.failed': {
    level: 'warn',
    say: ({ from, to, reason }) => `partitions of shard ${from} for shard ${to} are tried again: ${reason}`,
  },
  'operation.stumbled': { level: 'warn', say: ({ reason }) => `the operation is tried again: ${reason}` },
  'operation.stuck': { level: 'error', say: ({ reason }) => `the operation has paused: ${reason}` },
  'operation.skipped': { level: 'warn', say: ({ node, reason }) => `the operation goes on without ${node}: ${reason}` },
  'operation.ended': { level: 'info', say: ({ id, how }) => `operation ${id} is ${how}` },
  'control.held': { level: 'debug', say: ({ term }) => `this orchestrator holds the control lease, in term ${term}` },
  'control.deposed': {
    level: 'warn',
    say: ({ term }) => `another orchestrator holds the control lease, in term ${term}: this one leaves the nodes to it`,
  },
  'control.follows': {
    level: 'info',
    say: ({ holder, reason }) => `the nodes are run by ${holder === '' ? 'nobody yet' : holder}: ${reason}`,
  },
  'control.taken': {
    level: 'info',
    say: ({ term, from }) =>
      `this orchestrator has taken over${from === '' ? '' : ` from ${from}`}, in term ${term}: it runs the nodes now`,
  },
  'control.waits': { level: 'warn', say: ({ reason }) => `cannot take over yet: ${reason}` },
  'control.handed': { level: 'info', say: ({ term }) => `the control lease was handed over after term ${term}` },
  'stop.began': { level: 'info', say: ({ signal }) => `${signal}: stopping` },
  'stop.forced': { level: 'warn', say: ({ reason }) => `${reason}: killing what is left` },
  request: {
    level: 'info',
    say: ({ operation, key, outcome, ms }) => `${operation} ${key}: ${outcome} (${ms.toFixed(2)} ms)`,
  },
  fault: { level: 'error', say: ({ where, error }) => `fault in ${where}: ${wordsOf(error)}` },
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
