const MAX = '9223372036854775807'

/**
 * Exactly the int64s in decimal, without a plus, leading zeros or "-0". A pattern and no check by BigInt, so that the document has
 * the same rule as the server.
 */
export const INT64 = new RegExp(`^(?:0|-?(?:${belowOrEqual(MAX)})|-9223372036854775808)$`)

/** The positive numbers up to `max`: those with fewer digits, and those that are smaller at the first digit that differs. */
function belowOrEqual(max: string): string {
  const smaller = [...max].flatMap((digit, at) => {
    const [least, most] = [at === 0 ? 1 : 0, Number(digit) - 1]
    if (most < least) return []
    const rest = max.length - at - 1
    return [`${max.slice(0, at)}[${least}-${most}]${rest === 0 ? '' : `[0-9]{${rest}}`}`]
  })
  return [`[1-9][0-9]{0,${max.length - 2}}`, ...smaller, max].join('|')
}
