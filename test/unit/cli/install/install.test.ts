/** `chrysalis install` on files in a home of its own: what is shown, what is written, what is refused. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { LIMITS } from '../../../../src/base/limits.ts'
import { CLIENTS } from '../../../../src/cli/install/clients.ts'
import { planFor } from '../../../../src/cli/install/plan.ts'
import { writeConfigFile } from '../../../../src/cli/install/config-file.ts'
import { parseToml } from '../../../../src/daemon/config-toml.ts'
import { run, type Ran } from '../cli-run.ts'

interface Home {
  readonly home: string
  at(file: string): string
  write(file: string, text: string): string
  read(file: string): string
  /** Runs `install` with a fixed program, so that the entry is the same everywhere. */
  install(...words: string[]): Promise<Ran>
}

async function withHome(act: (home: Home) => Promise<void>): Promise<void> {
  const home = mkdtempSync(path.join(tmpdir(), 'chrysalis-install-'))
  const at = (file: string): string => path.join(home, file)
  try {
    await act({
      home,
      at,
      write(file, text) {
        mkdirSync(path.dirname(at(file)), { recursive: true })
        writeFileSync(at(file), text)
        return at(file)
      },
      read: (file) => readFileSync(at(file), 'utf8'),
      install: (...words) =>
        run(['install', '--command', 'chrysalis', ...words], {
          env: { HOME: home },
          home: path.join(home, '.chrysalis')
        })
    })
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

const FILES: Readonly<Record<string, string>> = {
  'claude-code': '.claude.json',
  'claude-desktop': '.config/Claude/claude_desktop_config.json',
  cursor: '.cursor/mcp.json',
  vscode: '.config/Code/User/mcp.json',
  codex: '.codex/config.toml',
  gemini: '.gemini/settings.json',
  windsurf: '.codeium/windsurf/mcp_config.json',
  zed: '.config/zed/settings.json',
  opencode: '.config/opencode/opencode.json'
}

test('every client: a diff first, then the entry in the shape the client reads, then gone without a trace', () =>
  withHome(async ({ home, at, read, install }) => {
    const launch = { command: 'chrysalis', args: ['--home', at('.chrysalis'), 'mcp', '--profile', 'core,team'] }
    const stdio = { type: 'stdio', ...launch }
    const entries: Readonly<Record<string, unknown>> = {
      'claude-code': { mcpServers: { chrysalis: stdio } },
      'claude-desktop': { mcpServers: { chrysalis: launch } },
      cursor: { mcpServers: { chrysalis: launch } },
      vscode: { servers: { chrysalis: stdio } },
      codex: { mcp_servers: { chrysalis: launch } },
      gemini: { mcpServers: { chrysalis: launch } },
      windsurf: { mcpServers: { chrysalis: launch } },
      zed: { context_servers: { chrysalis: { source: 'custom', ...launch, env: {} } } },
      opencode: { mcp: { chrysalis: { type: 'local', command: ['chrysalis', ...launch.args], enabled: true } } }
    }
    assert.deepEqual(
      CLIENTS.map(({ name }) => name),
      Object.keys(FILES)
    )
    for (const [client, file] of Object.entries(FILES)) {
      const shown = await install(client, '--profile', 'core,team')
      assert.equal(shown.status, 0, shown.err)
      assert.match(shown.out, /^--- \/dev\/null\n\+\+\+ .*\n@@ -0,0 \+1,/)
      assert.match(shown.err, /Nothing was written\. Add --apply/)
      assert.equal(existsSync(at(file)), false)
      await install(client, '--profile', 'core,team', '--apply')
      const said = file.endsWith('.toml') ? parseToml(read(file)) : (JSON.parse(read(file)) as unknown)
      assert.deepEqual(JSON.parse(JSON.stringify(said)), entries[client], client)
      assert.equal(statSync(at(file)).mode & 0o777, 0o600)
      const again = await install(client, '--profile', 'core,team', '--apply')
      assert.equal(again.out, '')
      assert.match(again.err, /nothing to do/)
      await install(client, '--uninstall', '--apply')
      assert.deepEqual(
        readdirSync(path.dirname(at(file))).filter((name) => name.includes(path.basename(file))),
        [],
        client
      )
      rmSync(home, { recursive: true, force: true })
      mkdirSync(home)
    }
  }))

test('what was in the file stays to the byte, its mode too, and the first version is kept beside it once', () =>
  withHome(async ({ at, write, read, install }) => {
    const text =
      '// settings\r\n{\r\n\t"theme": "dark", // mine\r\n\t"context_servers": { "x": { "command": "y" } },\r\n}\r\n'
    const file = write(FILES['zed'] ?? '', text)
    chmodSync(file, 0o640)
    const applied = await install('zed', '--apply')
    assert.match(applied.err, /the file as it was is .*settings\.json\.before-chrysalis\./)
    const made = read(FILES['zed'] ?? '')
    assert.ok(
      made.startsWith(
        '// settings\r\n{\r\n\t"theme": "dark", // mine\r\n\t"context_servers": { "x": { "command": "y" }, "chrysalis"'
      )
    )
    assert.equal(statSync(file).mode & 0o777, 0o640)
    await install('zed', '--apply', '--space', 'team')
    assert.match(read(FILES['zed'] ?? ''), /"--space","team"/)
    assert.equal(read(`${FILES['zed'] ?? ''}.before-chrysalis`), text)
    const removal = await install('zed', '--uninstall')
    assert.match(removal.out, /^-.*chrysalis/m)
    assert.match(read(FILES['zed'] ?? ''), /chrysalis/, 'shown, not done')
    await install('zed', '--uninstall', '--apply')
    assert.equal(read(FILES['zed'] ?? ''), text)
    assert.equal(existsSync(at('.config/zed/settings.json.before-chrysalis')), true)
  }))

test('a broken file is refused with its name and place and stays as it is', () =>
  withHome(async ({ at, write, read, install }) => {
    write('.cursor/mcp.json', '{\n  "mcpServers": {\n    oops\n  }\n}\n')
    const json = await install('cursor', '--apply')
    assert.equal(json.status, 2)
    assert.match(json.err, /\.cursor\/mcp\.json: line 3, column 5: a key in quotes is missing\. Nothing was touched/)
    write('.codex/config.toml', 'a = [1,\n')
    const toml = await install('codex', '--apply')
    assert.match(toml.err, /config\.toml: line \d, column \d+: .*Nothing was touched/)
    write('.codex/config.toml', '[mcp_servers.chrysalis]\ncommand = "mine"\n')
    assert.match((await install('codex', '--apply')).err, /written by hand/)
    write('.codex/config.toml', 'mcp_servers = { other = { command = "x" } }\n')
    assert.equal((await install('codex', '--apply')).status, 2, 'an inline table cannot be added to')
    writeFileSync(at('.claude.json'), new Uint8Array([0x7b, 0xff, 0x7d]))
    assert.match((await install('claude-code', '--apply')).err, /no text in UTF-8/)
    assert.equal(read('.codex/config.toml'), 'mcp_servers = { other = { command = "x" } }\n')
    assert.deepEqual(readdirSync(at('.cursor')), ['mcp.json'])
  }))

test('what somebody wrote into our block is not taken out with it', () =>
  withHome(async ({ at, read, write, install }) => {
    await install('codex', '--apply')
    const mixed = read('.codex/config.toml').replace('# <<<', '[mcp_servers.other]\ncommand = "x"\n# <<<')
    write('.codex/config.toml', mixed)
    for (const words of [['--uninstall'], ['--space', 'team']]) {
      const { status, err } = await install('codex', '--apply', ...words)
      assert.equal(status, 2)
      assert.match(err, /without changing something else\. Nothing was touched/)
    }
    assert.equal(read('.codex/config.toml'), mixed)
    assert.deepEqual(readdirSync(at('.codex')), ['config.toml'])
  }))

test('a link is followed, also one to a file that is not there yet', () =>
  withHome(async ({ at, write, read, install }) => {
    write('dotfiles/cursor.json', '{}')
    mkdirSync(at('.cursor'))
    symlinkSync(at('dotfiles/cursor.json'), at('.cursor/mcp.json'))
    mkdirSync(at('.gemini'))
    symlinkSync('../dotfiles/gemini.json', at('.gemini/settings.json'))
    await install('cursor', 'gemini', '--apply')
    for (const file of ['.cursor/mcp.json', '.gemini/settings.json']) {
      assert.equal(lstatSync(at(file)).isSymbolicLink(), true)
      assert.match(read(file), /chrysalis/)
    }
    assert.match(read('dotfiles/gemini.json'), /chrysalis/)
    await install('cursor', '--uninstall', '--apply')
    assert.equal(read('dotfiles/cursor.json'), '{}')
  }))

test('a read-only file is refused in words', () =>
  withHome(async ({ write, read, install }) => {
    chmodSync(write('.cursor/mcp.json', '{}'), 0o444)
    const { status, err } = await install('cursor', '--apply')
    assert.equal(status, 5)
    assert.match(err, /mcp\.json is read-only; nothing was written/)
    assert.equal(read('.cursor/mcp.json'), '{}')
  }))

test('a file that changed since it was read is not overwritten', () =>
  withHome(async ({ home, write, read }) => {
    const file = write('.cursor/mcp.json', '{}')
    const cursor = CLIENTS.find(({ name }) => name === 'cursor')
    assert.ok(cursor !== undefined)
    const place = { home, project: home, platform: 'linux', env: {} } as const
    const plan = planFor(cursor, place, { scope: 'user', launch: { command: 'c', args: [] } }, parseToml)
    writeFileSync(file, '{"late": 1}')
    assert.throws(() => writeConfigFile(plan.config, plan.after), /changed just now/)
    assert.equal(read('.cursor/mcp.json'), '{"late": 1}')
  }))

test('a file of the largest size is read, and one byte more is refused', () =>
  withHome(async ({ write, install }) => {
    const largest = `{${' '.repeat(LIMITS.clientConfigBytesMax - 2)}}`
    write('.cursor/mcp.json', largest)
    assert.equal((await install('cursor')).status, 0)
    write('.cursor/mcp.json', `${largest} `)
    const { status, err } = await install('cursor', '--apply')
    assert.equal(status, 2)
    assert.match(err, /16777217 bytes; at most 16777216 are read/)
  }))

test('nesting to the bound is read, and one level more is refused', () =>
  withHome(async ({ write, install }) => {
    const nested = (depth: number): string => `{"a": ${'['.repeat(depth - 1)}1${']'.repeat(depth - 1)}}`
    write('.cursor/mcp.json', nested(LIMITS.clientConfigDepthMax))
    assert.equal((await install('cursor')).status, 0)
    write('.cursor/mcp.json', nested(LIMITS.clientConfigDepthMax + 1))
    assert.match((await install('cursor')).err, /nests too deep/)
  }))

test('--all takes those that are here, does what it can, and says what it could not do', () =>
  withHome(async ({ at, write, read, install }) => {
    assert.equal((await install('--all')).status, 4)
    write('.cursor/mcp.json', '{"mcpServers": {}}')
    mkdirSync(at('.gemini'))
    write('.codex/config.toml', 'broken')
    const { status, json } = await install('--all', '--apply', '--json')
    assert.equal(status, 8)
    const rows = (json.data as { clients: { client: string; change: string; applied: boolean }[] }).clients
    assert.deepEqual(
      rows.map(({ client, change, applied }) => [client, change, applied]),
      [
        ['cursor', 'add', true],
        ['codex', 'failed', false],
        ['gemini', 'add', true]
      ]
    )
    assert.equal(json.error?.stateTouched, true)
    assert.match(read('.gemini/settings.json'), /chrysalis/)
    assert.equal(read('.codex/config.toml'), 'broken')
  }))

test('a project has a file of its own, without paths of this machine and without a token', () =>
  withHome(async ({ home, read, install }) => {
    const before = process.cwd()
    process.chdir(home)
    try {
      const { status } = await run(['install', 'claude-code', '--scope', 'project', '--apply'], { env: { HOME: home } })
      assert.equal(status, 0)
      assert.deepEqual(JSON.parse(read('.mcp.json')), {
        mcpServers: { chrysalis: { type: 'stdio', command: 'chrysalis', args: ['mcp'] } }
      })
      assert.equal((await install('claude-code', '--scope', 'project', '--token', 't')).status, 2)
      assert.equal((await install('windsurf', '--scope', 'project')).status, 2)
    } finally {
      process.chdir(before)
    }
  }))

test('a token is handed over in the environment; without --command the very program that runs is named', () =>
  withHome(async ({ home, read, install }) => {
    await install('codex', 'opencode', '--token', 'secret', '--apply')
    const codex = parseToml(read('.codex/config.toml')) as { mcp_servers: { chrysalis: { env: unknown } } }
    assert.deepEqual(JSON.parse(JSON.stringify(codex.mcp_servers.chrysalis.env)), { CHRYSALIS_TOKEN: 'secret' })
    const opencode = JSON.parse(read(FILES['opencode'] ?? '')) as { mcp: { chrysalis: { environment: unknown } } }
    assert.deepEqual(opencode.mcp.chrysalis.environment, { CHRYSALIS_TOKEN: 'secret' })
    await run(['install', 'cursor', '--apply'], { env: { HOME: home } })
    const cursor = JSON.parse(read('.cursor/mcp.json')) as {
      mcpServers: { chrysalis: { command: string; args: string[] } }
    }
    assert.equal(cursor.mcpServers.chrysalis.command, process.execPath)
    assert.equal(cursor.mcpServers.chrysalis.args[0], process.argv[1])
  }))

test('no client, or one nobody knows, is a usage error that lists them', () =>
  withHome(async ({ install }) => {
    for (const words of [[], ['emacs'], ['cursor', '--all']]) assert.equal((await install(...words)).status, 2)
    assert.match((await install()).err, /claude-code, claude-desktop, cursor/)
  }))
