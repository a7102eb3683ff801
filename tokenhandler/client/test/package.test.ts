import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'vite'
import { beforeAll, describe, expect, test } from 'vitest'
import { answersOf } from '../src/init/answers'

// A fresh Vite project, into which the packed package is installed. Its code is that of README.md and docs.

const root = fileURLToPath(new URL('..', import.meta.url))
const project = realpathSync(mkdtempSync(join(tmpdir(), 'project-')))
const { exports: entries, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
const names = Object.keys(entries).filter((name) => name !== './package.json').map((name) => name.replace('.', 'cognito-token-handler'))

const write = (file: string, text: string) => {
  mkdirSync(dirname(join(project, file)), { recursive: true })
  writeFileSync(join(project, file), text)
}
const run = (command: string, ...args: string[]) => {
  try {
    return execFileSync(command, args, { cwd: project, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}: ${(error as { stdout: string }).stdout}${(error as { stderr: string }).stderr}`)
  }
}
const tsc = (options: object, include: string[]) => {
  const strict = { target: 'ES2022', lib: ['ES2022', 'DOM', 'DOM.Iterable'], jsx: 'react-jsx', strict: true, noEmit: true, types: ['node'], ...options }
  write('tsconfig.json', JSON.stringify({ compilerOptions: strict, include }))
  run(join(root, 'node_modules/.bin/tsc'))
}

beforeAll(() => {
  run('npm', 'pack', '--silent', root, '--pack-destination', project)
  write('package.json', JSON.stringify({ name: 'fresh', private: true, type: 'module' }))
  run('npm', 'install', '--offline', '--no-audit', '--no-fund', `./cognito-token-handler-${version}.tgz`)
  for (const name of ['react', 'react-dom', 'react-router', 'vite', '@types']) {
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name))
  }
  write('index.html', '<div id="root"></div><script type="module" src="/src/main.tsx"></script>')
  const documents = ['README.md', ...readdirSync(join(root, 'docs')).map((page) => `docs/${page}`)]
  const pages = documents.map((page) => readFileSync(join(root, page), 'utf8'))
  const found = [...pages.join('\n').matchAll(/^```(tsx?)(?: file=(\S+))?\n([\s\S]*?)^```$/gm)]
  // Playwright is not installed here: TestPlaywright of test/cognitolocal runs these.
  const blocks = found.filter(([, , , text]) => !text!.includes('@playwright/test'))
  expect(blocks.length).toBeGreaterThan(20)
  blocks.forEach(([, kind, file = `src/readme${blocks.length}.${kind}`, text], i) => write(file.replace(`readme${blocks.length}`, `readme${i}`), text!))
}, 300_000)

test('the code of README.md and docs compiles', () => {
  tsc({ module: 'ESNext', moduleResolution: 'bundler' }, ['src', '*.ts'])
}, 300_000)

test('the types are found as Node finds modules, too, and are complete', () => {
  write('node/all.ts', names.map((name, i) => `import * as e${i} from '${name}'\nexport const f${i}: object = e${i}\n`).join(''))
  tsc({ module: 'NodeNext', moduleResolution: 'NodeNext', skipLibCheck: false }, ['node'])
}, 300_000)

test('the app can be built', async () => {
  await build({ root: project, logLevel: 'error' })
  expect(readFileSync(join(project, 'dist/index.html'), 'utf8')).toContain('/assets/')
}, 300_000)

test.each(['storage', 'amplify/storage'])('an app with %s can be built, and its uploads in parts are a file of their own', async (entry) => {
  const root = join(project, `with-${entry.replace('/', '-')}`)
  mkdirSync(root)
  writeFileSync(join(root, 'index.html'), '<script type="module" src="/main.ts"></script>')
  writeFileSync(join(root, 'main.ts'), `import * as all from 'cognito-token-handler/${entry}'\nconsole.log(all)\n`)
  await build({ root, logLevel: 'error' })
  const assets = readdirSync(join(root, 'dist/assets'))
  const holding = (text: string) => assets.filter((file) => readFileSync(join(root, 'dist/assets', file), 'utf8').includes(text))
  const [parts, ...others] = holding('/complete`')
  expect(parts).toMatch(/^parts-.+\.js$/)
  expect(others).toEqual([])
  expect(holding(parts!)).toHaveLength(1)
}, 300_000)

test('every entry can be imported on a server', () => {
  const imports = names.map((name) => `await import('${name}')`).join(';')
  run('node', '--input-type=module', '-e', `${imports}; const { createAuth } = await import('cognito-token-handler'); createAuth().close()`)
}, 300_000)

test('it contains nothing but what is used', () => {
  const files = run('tar', 'tzf', `cognito-token-handler-${version}.tgz`).split('\n').filter(Boolean)
  expect(files.filter((file) => !/^package\/(dist\/.+\.(js|d\.ts)|docs\/.+\.md|package\.json|README\.md)$/.test(file))).toEqual([])
})

test('the types of the core are one file that needs no other', () => {
  write('core/client.d.ts', readFileSync(join(root, 'dist/client.d.ts'), 'utf8'))
  write('core/use.ts', `import { createAuth, ApiError, type Session } from './client.js'\nexport const s: Session = createAuth().session\nexport { ApiError }\n`)
  tsc({ module: 'NodeNext', moduleResolution: 'NodeNext', types: [], skipLibCheck: false }, ['core'])
}, 300_000)

describe('init', () => {
  const binary = process.env['TOKENHANDLER_BINARY'] ?? join(project, 'tokenhandler')
  const pool = ['--user-pool-id', 'eu-central-1_AbCdEfGhI']
  const all = [...pool, '--domain', 'notes', '--client-id', '1example23456789', '--port', '3001', '--api', 'http://localhost:3000', '--bucket', 'files-of-users']

  beforeAll(() => {
    if (process.env['TOKENHANDLER_BINARY']) return
    // With the flags of the Makefile, so that Go compiles nothing twice.
    const env = { ...process.env, CGO_ENABLED: '0' }
    execFileSync('go', ['build', '-trimpath', '-o', binary, './cmd/tokenhandler'], { cwd: join(root, '../..'), env, stdio: 'pipe' })
  }, 300_000)

  /** An app in a folder of its own. It finds the packages in the folder above. */
  function app(name: string, files: Record<string, string> = {}) {
    const dir = join(project, name)
    mkdirSync(dir)
    for (const file in files) write(join(name, file), files[file]!)
    return {
      dir,
      text: (file: string) => readFileSync(join(dir, file), 'utf8'),
      init: (...flags: string[]) => spawnSync(join(project, 'node_modules/.bin/cognito-token-handler'), ['init', '--yes', ...flags], { cwd: dir, encoding: 'utf8' }),
      check: () => spawnSync(binary, ['check'], { cwd: dir, encoding: 'utf8' }),
    }
  }

  test.each([
    ['least', pool, 'http://localhost:5173'],
    ['most', all, 'http://localhost:3001'],
  ])('with the %s answers makes what the service, TypeScript and Vite accept', async (name, flags, origin) => {
    const { dir, text, init, check } = app(`init-${name}`, {
      'index.html': '<script type="module" src="/src/main.ts"></script>',
      'src/main.ts': `import { auth } from './auth'\nvoid auth.ready()\n`,
    })
    const { status, stdout } = init(...flags)
    expect(stdout).toContain('wrote tokenhandler.yaml')
    expect(status).toBe(0)
    expect(text('.gitignore')).toBe('.env.client_secret\n.env.session_keys\n/tokenhandler\n')

    expect(stdout).toContain('--output text > .env.client_secret')
    expect(stdout).toContain('\n./tokenhandler check\n./tokenhandler\n')
    write(`init-${name}/.env.client_secret`, 'a secret\n')
    const checked = check()
    expect(checked.stderr + checked.stdout).toContain('The configuration is good')
    const registered = checked.stdout.match(/http:\/\/localhost:\d+\/\S*/g)!
    expect(registered).toHaveLength(4)
    expect(registered.filter((url) => !stdout.includes(url) || !url.startsWith(origin))).toEqual([])

    tsc({ module: 'ESNext', moduleResolution: 'bundler' }, [`init-${name}/src`, `init-${name}/vite.config.ts`])
    await build({ root: dir, logLevel: 'error' })
    expect(init(...flags)).toMatchObject({ status: 0, stdout: expect.stringContaining('kept src/auth.ts: it is as it should be') })
  }, 120_000)

  test('overwrites nothing, and adds the plugin to a configuration of Vite', () => {
    const config = `import { defineConfig } from 'vite'\nimport react from '@vitejs/plugin-react'\n\nexport default defineConfig({\n  plugins: [react()],\n})\n`
    const { dir, text, init } = app('init-old', { 'src/auth.ts': 'export {}', 'vite.config.ts': config, 'tokenhandler.yaml': 'mine', '.env.session_keys': 'mine', '.gitignore': 'node_modules' })
    const { status, stdout } = init(...all)
    expect(status).toBe(1)
    expect(stdout).toContain('kept src/auth.ts: it is there already. It should have:')
    expect([text('src/auth.ts'), text('tokenhandler.yaml'), text('.env.session_keys')]).toEqual(['export {}', 'mine', 'mine'])
    expect(text('.gitignore')).toBe('node_modules\n.env.client_secret\n.env.session_keys\n/tokenhandler\n')
    expect(text('vite.config.ts')).toContain('plugins: [tokenHandler(), react()]')
    expect(text('vite.config.ts.old')).toBe(config)
    init(...all)
    expect(text('vite.config.ts').match(/tokenHandler\(\)/g)).toHaveLength(1)

    write('init-old/vite.config.ts', 'export default {}')
    expect(init(...all).stdout).toContain(`import tokenHandler from 'cognito-token-handler/vite'`)
    expect(text('vite.config.ts')).toBe('export default {}')
    expect(existsSync(join(dir, '.env.client_secret'))).toBe(false)
  }, 300_000)

  test('what counts in comments at the top of a configuration of Vite still does', () => {
    const comments = `// @ts-check\n/* the tests'\nimport is below */\n/// <reference types="vitest/config" />\n`
    const rest = `import { defineConfig } from 'vite'\n\nexport default defineConfig({ plugins: [] })\n`
    const { text, init } = app('init-directive', { 'vite.config.ts': comments + rest })
    init(...pool)
    const plugin = `import tokenHandler from 'cognito-token-handler/vite'\n`
    expect(text('vite.config.ts')).toBe(comments + plugin + rest.replace('[]', '[tokenHandler(), ]'))
    write('init-directive/vite.config.ts', `module.exports = { plugins: [] }`)
    expect(init(...pool).stdout).toContain('kept vite.config.ts. It should have:')
  }, 300_000)

  test.each([
    ['', '5173', false],
    ['strictPort: true', '5173', true],
    ['strictPort: true', '3001', false],
    ['port: 3001', '3001', false],
    ['port: 3001, strictPort: true', '3001', true],
    ['port: 30010, strictPort: true', '3001', false],
  ])('a configuration of Vite with the server {%s} is made for port %s: %s', (server, port, fits) => {
    const { init } = app(`init-port-${server.replace(/\W+/g, '-')}-${port}`, { 'vite.config.ts': `export default { plugins: [], server: { ${server} } }\n` })
    for (const said of ['changed vite.config.ts', 'kept vite.config.ts: it has the plugin']) {
      const { status, stdout } = init(...pool, '--port', port)
      expect(stdout).toContain(said)
      expect(stdout.includes(`server: { port: ${port}, strictPort: true },`)).toBe(!fits)
      expect(status).toBe(fits ? 0 : 1)
    }
  }, 300_000)

  test('tells what it does without a command', () => {
    const program = join(project, 'node_modules/.bin/cognito-token-handler')
    expect(spawnSync(program, ['--help'], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: expect.stringContaining('--user-pool-id'), stderr: '' })
    expect(spawnSync(program, ['install'], { encoding: 'utf8' })).toMatchObject({ status: 2, stdout: '', stderr: expect.stringContaining('there is no command install') })
  })

  test('names all faults, and writes nothing then', () => {
    const { dir, init } = app('init-wrong')
    const { status, stderr } = init('--port', 'http', '--bucket', 'A', '--domain', 'https://login.example.com/path')
    expect(status).toBe(2)
    for (const fault of ['--user-pool-id is missing', '--port: "http" is no port', '--bucket: "A"', '--domain: "https:']) expect(stderr).toContain(fault)
    expect(init('--pool', 'x').stderr).toContain('--pool')
    expect(existsSync(join(dir, 'tokenhandler.yaml'))).toBe(false)
  }, 300_000)

  test('asks for what no flag gives, and again after a wrong answer', async () => {
    const asked: string[] = []
    const answers = ['eu-central-1', 'eu-central-1_AbC', '', 'notes', '', '', '', '']
    const ask = async (text: string) => (asked.push(text), answers.shift()!)
    expect(await answersOf(['--client-id', 'abc'], ask)).toEqual({
      userPoolId: 'eu-central-1_AbC',
      region: 'eu-central-1',
      domain: 'https://notes.auth.eu-central-1.amazoncognito.com',
      clientId: 'abc',
      port: '5173',
      api: '',
      bucket: '',
    })
    expect(asked[1]).toContain('"eu-central-1" is not the id of a user pool')
    expect(asked[2]).toBe('Region of the user pool [eu-central-1]: ')
    expect(asked).toHaveLength(7)
  })
})
