import { ANY_KEY, PAGE_BYTES_MAX, type PageContent, type PageOperation, type PageResult } from '../core/operation.js'
import {
  PageContent as WireContent,
  type PageRequest as WirePage,
  type PageResponse as WirePageResult,
} from './gen/kvorum/v1/kv.js'

const CONTENTS: Readonly<Record<PageContent, WireContent>> = {
  entries: WireContent.ENTRIES,
  keys: WireContent.KEYS,
  count: WireContent.COUNT,
}

export function pageToWire(page: PageOperation): WirePage {
  return { ...page, content: CONTENTS[page.content] }
}

/** Undefined for a content that this version does not know. */
export function pageFromWire(page: WirePage): PageOperation | undefined {
  const { shard, partitions, from, to, reverse, limit } = page
  const content = (Object.keys(CONTENTS) as PageContent[]).find((one) => CONTENTS[one] === page.content)
  if (content === undefined) return undefined
  const bytesMax = page.bytesMax === 0 ? PAGE_BYTES_MAX : Math.min(page.bytesMax, PAGE_BYTES_MAX)
  return { kind: 'page', key: ANY_KEY, shard, partitions, from, to, reverse, content, limit, bytesMax }
}

export function pageResultToWire({ entries, count, next }: PageResult): WirePageResult {
  return { entries: [...entries], count: BigInt(count), next }
}

export function pageResultFromWire({ entries, count, next }: WirePageResult): PageResult {
  return { kind: 'page', entries, count: Number(count), next }
}
