/**
 * The table of bounds as a whole: every bound is a number that makes sense, and every one is exercised by name in some
 * test, or stands in the list below with the reason why not.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LIMITS, type LimitName } from '../../../src/base/limits.ts'

const testRoot = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))))

const INJECTED = 'the test hands in a smaller value, so that it need not wait or fill gigabytes'
const LIBRARY = 'handed to a library, whose behaviour the live tests show'
const CACHE = 'a BoundedMap of this size, whose bound is tested in bounded-map.test.ts; what is forgotten is read again'

/** Bounds that no test names. */
const UNNAMED: Partial<Record<LimitName, string>> = {
  gossipOutboundBytesMax: LIBRARY,
  gossipRpcItemsMax: LIBRARY,
  gossipLinkDeadMsMax: INJECTED,
  recordCacheMax: CACHE,
  authorHeadsMax: CACHE,
  storeOpenFilesMax: LIBRARY,
  logBufferBytesMax: INJECTED,
  metricNamesMax: INJECTED,
  pendingInboundConnectionsMax: LIBRARY,
  inboundUpgradeMsMax: LIBRARY,
  peerScoresMax: INJECTED,
  rpcCloseMsMax: INJECTED
}

function sources(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const target = path.join(directory, entry.name)
    if (entry.isDirectory()) return sources(target)
    return entry.name.endsWith('.ts') && target !== fileURLToPath(import.meta.url) ? [target] : []
  })
}

test('every bound is a positive whole number', () => {
  for (const [name, value] of Object.entries(LIMITS)) {
    assert.ok(Number.isSafeInteger(value) && value > 0, `${name} is ${String(value)}`)
  }
})

test('a name that ends in a unit says which', () => {
  for (const name of Object.keys(LIMITS)) {
    assert.match(name, /(Max|Min|Ms|MsMax|Bytes|Target)$/, `${name} tells neither a unit nor that it is a bound`)
  }
})

test('every bound is named by a test, or has a reason not to be', () => {
  const text = sources(testRoot)
    .map((file) => readFileSync(file, 'utf8'))
    .join('\n')
  for (const name of Object.keys(LIMITS) as LimitName[]) {
    const named = new RegExp(`\\b${name}\\b`).test(text)
    if (UNNAMED[name] === undefined) assert.ok(named, `${name} is in no test: write one, or say here why not`)
    else assert.ok(!named, `${name} is named by a test now: take it off the list`)
  }
})
