// SPDX-License-Identifier: MIT OR Apache-2.0
// Usage: node page.mjs TOOLS FILE SCRIPT
// Runs SCRIPT, the body of a function, which opens FILE in Chromium. Prints JSON: what it returned, what the pages asked for, and
// what went wrong in them. TOOLS is what tests/lib/page-tools prints.
import {existsSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {pathToFileURL} from 'node:url';

const [tools, file, script] = process.argv.slice(2);
const require = createRequire(`${tools}/`);
const puppeteer = require('puppeteer-core');
const executablePath = process.env.PATH.split(':').map(directory => `${directory}/chromium`).find(existsSync);
// The tests may run as root, where Chromium's own sandbox cannot.
const browser = await puppeteer.launch({executablePath, args: ['--no-sandbox', '--disable-gpu']});
const requests = [], errors = [];

// A page as it is seen with this window, these colours, with scripts or without.
async function open({width = 1280, height = 800, scheme = 'light', scripts = true, url = pathToFileURL(file).href} = {}) {
    const page = await browser.newPage();
    page.on('request', request => requests.push(request.url()));
    page.on('console', message => ['error', 'warn'].includes(message.type()) && errors.push(message.text()));
    page.on('pageerror', error => errors.push(String(error)));
    page.on('dialog', dialog => errors.push(`a dialog: ${dialog.message()}`) && dialog.dismiss());
    await page.setViewport({width, height, isMobile: width < 600, hasTouch: width < 600});
    await page.emulateMediaFeatures([{name: 'prefers-color-scheme', value: scheme}]);
    await page.setJavaScriptEnabled(scripts);
    await page.goto(url);
    return page;
}

// The boards that are shown, in their order. (`$$eval` would take a message for each row.)
const shown = page => page.evaluate(() =>
    [...document.querySelectorAll('tbody tr')].filter(row => row.offsetHeight).map(row => row.cells[0].textContent));

// What is in focus: a board's or a column's name, or the element's.
const focused = page => page.evaluate(() => document.activeElement.textContent || document.activeElement.localName);

// What axe finds in a page as it is now.
async function axe(page) {
    await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8'));
    const {violations, passes} = await page.evaluate(() => globalThis.axe.run({resultTypes: ['violations']}));
    if (passes.length < 10) throw new Error(`only ${passes.length} rules of axe apply`);
    return violations.map(({id, nodes}) => `${id}: ${nodes.map(node => node.html).slice(0, 3)}`);
}

try {
    const run = Object.getPrototypeOf(open).constructor('open', 'shown', 'focused', 'axe', script);
    const value = await run(open, shown, focused, axe);
    console.log(JSON.stringify({value, requests, errors}));
} finally {
    await browser.close();
}
