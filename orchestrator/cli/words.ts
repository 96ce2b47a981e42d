import { decodeText } from '../core/text.js'

// What people typed and what is stored, as it is shown to them, and what of it cannot be taken.

/** Longer keys would fill the screen and hide what is said about them. */
const SHOWN_MAX = 64

/** "1 row", "2,000 rows" */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}

/** A key as it stands in a line for people. */
export function shown(key: string): string {
  const characters = [...key]
  if (characters.length <= SHOWN_MAX) return JSON.stringify(key)
  return `${JSON.stringify(characters.slice(0, SHOWN_MAX).join(''))}...`
}

/** Stored bytes as they stand in a line for people: what is no plain text is shown as such, so that no terminal obeys it. */
export function plain(bytes: Uint8Array): string {
  const text = decodeText(bytes)
  if (text === undefined) return `0x${Buffer.from(bytes).toString('hex')}`
  if (/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u.test(text)) return text
  // JSON leaves some of them as they are.
  return JSON.stringify(text).replace(
    /[\p{Cc}\p{Zl}\p{Zp}]/gu,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/**
 * Why the arguments cannot be taken, or undefined. Node.js gives bytes that are not UTF-8 as U+FFFD, so that different
 * keys would arrive as the same one.
 */
export function faultIn(args: readonly string[]): string | undefined {
  const broken = args.find((argument) => argument.includes('\ufffd'))
  if (broken === undefined) return undefined
  return `the argument ${shown(broken)} is not UTF-8 (or holds U+FFFD, which stands for that): nothing was done`
}
