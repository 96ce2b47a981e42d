import { expect, test } from 'vitest'
import { textTable } from './text-table.js'

test('rules are below the head and between groups only', () => {
  const groups = [
    [
      ['a', 1],
      ['bb', ''],
    ],
    [],
    [['c', 22]],
  ]
  expect(textTable(['key', 'n'], groups).split('\n')).toEqual([
    '┌─────┬────┐',
    '│ key │ n  │',
    '├─────┼────┤',
    '│ a   │ 1  │',
    '│ bb  │    │',
    '├─────┼────┤',
    '│ c   │ 22 │',
    '└─────┴────┘',
  ])
})

test('colours take no width, and only the head gets one by itself', () => {
  const painted = textTable(['key'], [[['\u001b[31mred\u001b[39m'], ['plain']]], true)
  expect(painted.split('\n').slice(3, 5)).toEqual(['│ \u001b[31mred\u001b[39m   │', '│ plain │'])
  expect(painted).toContain('\u001b[1m')
})
