// HTTP/JSON of a real cluster: the lines of the README, and what is promised while things break.
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { RequestWrapper } from '../../orchestrator/client/index.js'
import { Cluster } from '../harness/cluster.js'
import { keysOn } from '../harness/keys.js'
import { signal } from '../harness/process.js'
import { ROOT } from '../harness/root.js'

const run = promisify(execFile)

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start({ shards: 2 })
})
afterAll(() => cluster?.dispose())

const at = (path: string): string => `http://${cluster.httpAddress}${path}`
const json = (value: unknown) => ({ headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) })

interface Line {
  readonly command: string
  readonly expected: string
}

/** "curl ...   # what it prints", or its status if that says more. */
function linesOfReadme(): Line[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  return [...readme.matchAll(/^(curl .*?)\s+# (.*)$/gm)].map(([, command = '', expected = '']) => ({
    command,
    expected,
  }))
}

/** Versions are what they are. */
const withoutVersions = (text: string): string => text.replaceAll(/("(?:version|epoch)":)"\d+"/g, '$1"n"')

test('the lines of the README', async () => {
  const lines = linesOfReadme()
  expect(lines.length).toBeGreaterThanOrEqual(8)
  for (const { command, expected } of lines) {
    const shell = `${command.replace('localhost:7001', cluster.httpAddress)} -sS -w ' %{http_code}'`
    const { stdout } = await run('/bin/sh', ['-c', shell])
    const [, output = '', status = ''] = /^([\s\S]*) (\d{3})$/.exec(stdout) ?? []
    const said = /^\d{3}\b/.test(expected) ? status : withoutVersions(output)
    const promised = /^\d{3}\b/.exec(expected)?.[0] ?? withoutVersions(expected)
    expect(said.startsWith(promised), `${command}: ${stdout}`).toBe(true)
  }
})

test('what one way in has written, the other one reads', async () => {
  const client = new RequestWrapper(cluster.address)
  try {
    await client.put('both/ways', 'by gRPC')
    expect(await (await fetch(at('/key/both%2Fways'))).json()).toMatchObject({ value: 'by gRPC' })
    await fetch(at('/v1/keys/both%2Fways'), { method: 'PUT', ...json({ value: 'by HTTP' }) })
    expect(await client.get('both/ways')).toBe('by HTTP')
  } finally {
    client.close()
  }
})

test('/status names the leaders, and notices another one; each append is there once', async () => {
  const leader = await cluster.leaderOf(1)
  const leaders = async () => {
    const { shards } = (await (await fetch(at('/status'))).json()) as { shards: { leader: { id: string } | null }[] }
    return shards.map((shard) => shard.leader?.id)
  }
  expect(await leaders()).toEqual([leader.id, (await cluster.leaderOf(2)).id])

  const key = keysOn(await cluster.map(), 1, 'http')()
  const tokens = Array.from({ length: 40 }, (_, index) => `<${index}>`)
  const append = async (value: string) => {
    const answer = await fetch(at(`/v1/keys/${key}/append`), { method: 'POST', ...json({ value }) })
    expect(answer.status, await answer.text()).toBe(200)
  }
  const before = Promise.all(tokens.slice(0, 20).map(append))
  signal(leader.pid, 'SIGKILL')
  await before
  await Promise.all(tokens.slice(20).map(append))
  const { value } = (await (await fetch(at(`/key/${key}`))).json()) as { value: string }
  expect(value.match(/<\d+>/g)?.sort()).toEqual([...tokens].sort())
  await expect.poll(leaders, { timeout: 20_000 }).toEqual([expect.any(String), expect.any(String)])
  await cluster.settled()
})

test('a stop answers what it has; the next start has it all, on the same port', async () => {
  const acknowledged: string[] = []
  const writer = async (name: string) => {
    for (let index = 0; ; index++) {
      const key = `${name}-${index}`
      const answer = await fetch(at(`/key/${key}`), { method: 'PUT', ...json({ value: key }) }).catch(() => undefined)
      if (answer === undefined) return
      // What the stop has given up says so.
      if (answer.status === 200) acknowledged.push(key)
      else
        expect(await answer.json()).toMatchObject({
          status: 503,
          outcome: expect.stringMatching(/unknown|not-applied/),
        })
    }
  }
  const writers = ['a', 'b', 'c', 'd'].map(writer)
  await expect.poll(() => acknowledged.length).toBeGreaterThan(100)
  const address = cluster.httpAddress
  expect(await cluster.stop('SIGTERM')).toEqual({ code: 0, signal: null })
  await Promise.all(writers)
  await cluster.restart()
  expect(cluster.httpAddress).toBe(address)
  for (const key of acknowledged) expect(await (await fetch(at(`/key/${key}`))).json()).toMatchObject({ value: key })
})
