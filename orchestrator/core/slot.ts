/** The unit of placement, ownership and movement: SLOTS_PER_PARTITION neighbouring slots. */
export const PARTITIONS = 1024
export const SLOTS = 16_384
const SLOTS_PER_PARTITION_BITS = 4

const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

/**
 * The slot of a key, exactly as Redis Cluster computes it: CRC16 (XMODEM) modulo 16,384 of the part between the first
 * `{` and the first `}` after it, or of the whole key when there is no such part or it is empty.
 */
export function slotOf(key: Uint8Array): number {
  const open = key.indexOf(OPEN_BRACE)
  if (open === -1) return crc16(key, 0, key.length) % SLOTS
  const close = key.indexOf(CLOSE_BRACE, open + 1)
  if (close === -1 || close === open + 1) return crc16(key, 0, key.length) % SLOTS
  return crc16(key, open + 1, close) % SLOTS
}

/** Whether all keys that begin so have one slot. */
export function hasHashTag(prefix: Uint8Array): boolean {
  const open = prefix.indexOf(OPEN_BRACE)
  return open !== -1 && prefix.indexOf(CLOSE_BRACE, open + 1) > open + 1
}

export function partitionOf(key: Uint8Array): number {
  return slotOf(key) >>> SLOTS_PER_PARTITION_BITS
}

const CRC16_TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc & 0xffff
})

function crc16(bytes: Uint8Array, from: number, to: number): number {
  let crc = 0
  for (let at = from; at < to; at++) {
    crc = ((crc << 8) ^ (CRC16_TABLE[((crc >>> 8) ^ (bytes[at] ?? 0)) & 0xff] ?? 0)) & 0xffff
  }
  return crc
}
