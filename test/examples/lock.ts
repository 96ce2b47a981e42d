// A lock by compare-and-set: whoever makes the key has it, and only its holder can give it back.
import { KvClient, PreconditionFailedError } from 'kvorum/client'

const kv = await KvClient.connect({ endpoints: [process.argv[2] ?? 'localhost:7000'] })

async function take(name: string, holder: string): Promise<boolean> {
  try {
    await kv.compareAndSet(name, null, holder)
    return true
  } catch (error) {
    if (error instanceof PreconditionFailedError) return false
    throw error
  }
}

async function giveBack(name: string, holder: string): Promise<void> {
  const held = await kv.get(name)
  // By its version: a lock that was lost meanwhile is not taken from the next holder.
  if (held?.text() === holder) await kv.delete(name, { ifVersion: held.version })
}

await kv.delete('lock')
console.log(
  await Promise.all(['a', 'b', 'c'].map((holder) => take('lock', holder))).then((won) => won.filter(Boolean).length),
) // 1
const holder = (await kv.get('lock'))?.text() ?? ''
console.log(await take('lock', 'd')) // false
await giveBack('lock', holder)
console.log(await take('lock', 'd')) // true
await giveBack('lock', 'd')
await kv.close()
