// The report of a run: one HTML file that needs nothing else.
import { join } from 'node:path'
import { escapeText } from '../../../bench/chart/svg.js'
import type { RunResult } from '../run/result.js'
import { type Service, serviceOf } from '../service/gaps.js'
import { picture } from './picture.js'
import { COLUMNS, GOAL, goalOf, goalWords, rowOf, verdictOf } from './summary.js'

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#1f2328;background:#fff}
table{border-collapse:collapse;margin:1em 0}th,td{border:1px solid #d0d7de;padding:.25em .7em;text-align:right}
th:first-child,td:first-child{text-align:left}.good{color:#116329}.bad{color:#a40e26;font-weight:600}svg{max-width:100%;height:auto}
.verdict{font-size:1.4em}`

/** `folder` is where the run has left everything. */
export function page(result: RunResult, folder: string): string {
  const { seed, shape, rounds, seconds, counts, faults, skipped, violations, versions, backMsMax, timeline } = result
  const verdict = verdictOf(result)
  const dropped = faults > timeline.faultsMax ? `<p>The picture has the last ${timeline.faultsMax} faults.</p>` : ''
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Kvorum, chaos run ${seed}</title><style>${STYLE}</style></head><body>
<h1>Chaos run, seed ${seed}</h1>
<p class="verdict ${violations.length === 0 ? 'good' : 'bad'}">${escapeText(verdict)}</p>
${list(violations.map(({ kind, what }) => `${kind}: ${what}`))}
<p>${shape.shards} shards x ${shape.replicas} replicas; ${rounds} rounds in ${seconds.toFixed(0)} s; ${faults} faults
(${skipped} could not begin)${violations.length === 0 ? `; everything served again after at most ${(backMsMax / 1000).toFixed(1)} s` : ''}.
${Object.entries(versions)
  .map(([name, value]) => escapeText(`${name} ${value}`))
  .join(', ')}.</p>
<h2>What was checked</h2>
<p>${counts.operations} operations on ${counts.keys} keys: ${counts.acknowledged} writes acknowledged, ${counts.reads} reads,
${counts.refused} refused, ${counts.unknown} of unknown outcome. Each key's calls must have an order that explains every answer
(linearizable, by Porcupine), every acknowledged append must be there once, and what was refused may never be seen.
${violations.length === 0 ? 'So it was' : 'It was not: see above'}${counts.undecided === 0 ? '' : `; ${counts.undecided} keys were not decided in time`}.</p>
${violations.length + counts.undecided === 0 ? '' : evidence(folder)}
<h2>Over time</h2>
${picture(result)}${dropped}
<h2>Time without service</h2>
<p>The longest time without an acknowledged put on a shard that was struck: by a client that talks to the nodes (direct) and by
one that talks to the gateway. Median and p99 are of faults that were alone on their shards. Meta serves no keys: a line "of meta"
is the longest of any shard meanwhile, and is to be that of nothing.</p>
${table(serviceOf(result.gaps))}
<h2>Again</h2>
<p>The same faults at the same times: <code>npm run chaos -- --schedule ${escapeText(join(folder, 'schedule.json'))}</code></p>
</body></html>
`
}

function evidence(folder: string): string {
  return `<p>In <code>${escapeText(folder)}</code>: round-N has the history, its faults and a picture of each key that is wrong; of a
violation also the orchestrator's log and cluster, the nodes' data and logs.</p>`
}

function table(service: readonly Service[]): string {
  const head = ['fault', ...COLUMNS, GOAL]
  const rows = service.map(
    (one) =>
      `<tr>${rowOf(one)
        .map((text) => cell(text))
        .join('')}${goal(one, service)}</tr>`,
  )
  return `<table><tr>${head.map((text) => `<th>${text}</th>`).join('')}</tr>\n${rows.join('\n')}</table>`
}

function goal(one: Service, all: readonly Service[]): string {
  const reached = goalOf(one, all)?.met
  return cell(goalWords(one, all), reached === undefined ? '' : reached ? 'good' : 'bad')
}

function cell(text: string, kind = ''): string {
  return `<td${kind === '' ? '' : ` class="${kind}"`}>${escapeText(text)}</td>`
}

function list(items: readonly string[]): string {
  return items.length === 0
    ? ''
    : `<ul>${items.map((item) => `<li class="bad">${escapeText(item)}</li>`).join('')}</ul>`
}
