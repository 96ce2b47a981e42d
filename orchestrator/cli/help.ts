// What --help of a command says behind its options: how it is used, and what its exit code means.

interface Help {
  readonly examples: readonly string[]
  /** Of its exit codes, beside 2, which is the same everywhere. */
  readonly done: string
  readonly absent?: string
  readonly failed: string
}

const SENT = 'it failed, or no server answers: stderr says what is known of it'
const FOLLOWED = 'it could not be begun, was cancelled, has paused by itself, or could not be followed to its end'

const HELP: Readonly<Record<string, Help>> = {
  get: {
    examples: ['get user:1', 'get user:1 --stale 500'],
    done: 'printed',
    absent: 'the key has no value',
    failed: SENT,
  },
  put: {
    examples: [
      "put user:1 'Ada'",
      'put code:1 123456 --ttl 30s',
      'put node:1 up --lease 00112233445566778899aabbccddeeff',
    ],
    done: 'stored',
    failed: SENT,
  },
  ttl: { examples: ['ttl code:1'], done: 'printed', absent: 'the key has no value', failed: SENT },
  touch: {
    examples: ['touch code:1 --ttl 5m', 'touch code:1'],
    done: 'it lives for so long from now on, or for ever',
    absent: 'the key has no value',
    failed: SENT,
  },
  lease: {
    examples: [
      'lease grant --ttl 30s',
      'lease keep-alive 00112233445566778899aabbccddeeff',
      'lease revoke 00112233445566778899aabbccddeeff',
    ],
    done: 'made, kept alive (with --once), or ended',
    absent: 'the lease is gone',
    failed: SENT,
  },
  append: { examples: ["append log 'a line'"], done: 'added', failed: SENT },
  delete: {
    examples: ['delete user:1', 'delete --prefix user: --dry-run', 'delete --prefix user: --detach'],
    done: 'the key has no value now, or every key with the prefix is gone (with --detach: begun)',
    failed: `${SENT}; or of a prefix: it was cancelled, or could not be followed`,
  },
  txn: {
    examples: ['txn transfer.json', 'txn - --json < transfer.json'],
    done: 'carried out, also if a condition did not hold',
    failed: 'nothing of it was done, or stderr says what is known of it',
  },
  scan: {
    examples: ['scan --prefix user: --limit 20', 'scan --keys-only --reverse', 'scan --from a --to b --json'],
    done: 'printed, also if there are none',
    failed: 'it failed, perhaps after some keys, or no server answers: stderr says what is known of it',
  },
  count: { examples: ['count', 'count --prefix user:'], done: 'counted', failed: SENT },
  import: {
    examples: [
      'import users.jsonl',
      'import users.csv --if-absent --skip-bad',
      'zcat users.jsonl.gz | kvorum import -',
    ],
    done: 'every row is there',
    absent: 'every row but lines that were skipped (--skip-bad)',
    failed: 'it ended before the end: stderr says at which line, why, and how to go on',
  },
  export: {
    examples: [
      'export all.jsonl',
      'export users.csv --prefix user:',
      'export - --prefix user: | gzip > users.jsonl.gz',
    ],
    done: 'the file is there, also if there are no keys',
    failed: 'it ended before the end: the same command goes on',
  },
  watch: {
    examples: ['watch user:', "watch '' --json", 'watch user: --from AnfLk2sDAQ'],
    done: 'ended by Ctrl-C; stderr has the token to go on from',
    failed: 'what was to be told is not kept any more (stderr has a token for now), or no server answers',
  },
  incr: { examples: ['incr visits', 'incr stock -5'], done: 'added', failed: SENT },
  cas: {
    examples: ['cas state idle busy', 'cas lock me --absent', 'cas user:1 Ada --if-version 12'],
    done: 'stored',
    absent: 'the present value is another one; nothing was changed',
    failed: SENT,
  },
  top: { examples: ['top', 'top --once --json'], done: 'shown', failed: SENT },
  bench: {
    examples: ['bench', 'bench --clients 256 --seconds 10 --gets 90 --json'],
    done: 'every operation succeeded',
    failed: 'some failed, which are counted by their codes, or no server answers',
  },
  completion: {
    examples: ['completion bash > ~/.kvorum-completion', 'completion fish > ~/.config/fish/completions/kvorum.fish'],
    done: 'printed',
    failed: 'it never does',
  },
  shell: {
    examples: ['shell', 'shell --help', 'shell < commands.txt'],
    done: 'ended, or the last line of a pipe was done',
    absent: 'what the last line of a pipe came to, as do 2 and 3',
    failed: 'the last line of a pipe failed',
  },
  status: { examples: ['status', 'status --json'], done: 'shown, also when nodes are down', failed: SENT },
  fault: {
    examples: [
      'fault pause shard-1/node-2 --for 30',
      'fault partition shard-1/node-2 --direction in',
      'fault heal --all',
    ],
    done: 'broken and healed again, or killed',
    failed: 'it could not be done: the node has no process here, or there is no proxy',
  },
  scale: {
    examples: ['scale --shards 5 --dry-run', 'scale --shards 5', 'scale --replicas 5 --detach'],
    done: 'there are so many now, also if there were before (with --detach: begun)',
    failed: FOLLOWED,
  },
  node: {
    examples: ['node replace shard-1/node-2', 'node drain --machine m1', 'node undrain --machine m1'],
    done: 'replaced, or its leaders are gone (with --detach: begun)',
    failed: FOLLOWED,
  },
  restart: {
    examples: ['restart --rolling', 'restart shard-1/node-2'],
    done: 'restarted (with --detach: begun)',
    failed: FOLLOWED,
  },
  upgrade: {
    examples: ['upgrade', 'upgrade --binary /opt/kvnode'],
    done: 'every node runs it (with --detach: begun)',
    failed: `${FOLLOWED}, or it is no node program`,
  },
  operations: {
    examples: ['operations', 'operations 1a2b3c4d', 'operations pause 1a2b3c4d'],
    done: 'shown, or steered',
    failed: 'it cannot be steered so now, or no server answers',
  },
  agent: {
    examples: ['agent --listen 10.0.0.5:7100 --data /var/lib/kvorum --name m1 --zone z1 --insecure'],
    done: 'ended by a signal; its nodes go on',
    failed: 'it could not start: stderr says why',
  },
}

/** Of a command by its name. Throws a TypeError for one that has no help. */
export function helpOf(name: string): string {
  const help = HELP[name]
  if (help === undefined) throw new TypeError(`no help is written for ${name}`)
  const { examples, done, absent, failed } = help
  const usage = 'wrong usage, or a node or an operation that there is not'
  const codes = [`0 ${done}`, ...(absent === undefined ? [] : [`1 ${absent}`]), `2 ${usage}`, `3 ${failed}`]
  const lines = [
    ...examples.map((example) => `  ${example.includes(' | kvorum ') ? '' : 'kvorum '}${example}`),
    '',
    'Exit codes:',
    ...codes.map((code) => `  ${code}`),
  ]
  return `\n${examples.length > 1 ? 'Examples' : 'Example'}:\n${lines.join('\n')}`
}
