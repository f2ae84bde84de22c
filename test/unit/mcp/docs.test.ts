/** docs/MCP.md lists the tools there are. Regenerate with UPDATE_GOLDEN=1. */
import { test } from 'node:test'
import { createProfiles } from '../../../src/mcp/profiles.ts'
import { assertGenerated, cell } from '../../support/generated-docs.ts'

test('the tools of docs/MCP.md are those of the profiles', () => {
  const rows = [...createProfiles().values()].flatMap(({ name: profile, tools }) =>
    tools.map(({ name, description, input, annotations }) => {
      const names = Object.entries(input.shape).map(([key, schema]) => (schema.isOptional() ? key : `**${key}**`))
      const effect = annotations.readOnlyHint ? 'reads' : annotations.destructiveHint ? 'hides' : 'writes'
      return `| \`${profile}\` | \`${name}\` | ${effect} | ${names.join(', ')} | ${cell(description)} |`
    })
  )
  assertGenerated('MCP.md', 'tools', ['| profile | tool | | arguments | |', '|---|---|---|---|---|', ...rows])
})
