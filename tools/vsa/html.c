#include "html.h"

#include <string.h>
#include <time.h>

/* Colours are names, so that plots and text change with the scheme: m-METHOD, and e0 to e4 for an
 * ordered setting. */
static const char style[] =
    ":root{color-scheme:light dark;--back:#fff;--text:#1c1f24;--quiet:#5b626d;--line:#d8dce2;"
    "--grid:#e9ecf0;--flag:#b00020;"
    "--dense:#6b7280;--topk:#d55e00;--topp:#b98500;--sample:#009068;--vattention:#0063b8;"
    "--guided:#a04f9e;--e0:#440154;--e1:#3b528b;--e2:#21918c;--e3:#4fb34f;--e4:#c7a500}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#15181d;--text:#e6e9ee;--quiet:#9aa3b0;"
    "--line:#3a414c;--grid:#262b33;--flag:#ff8a94;"
    "--dense:#9aa3b0;--topk:#ff8a4c;--topp:#f0c040;--sample:#3fd0a4;--vattention:#6ab7ff;"
    "--guided:#d99ad6;--e0:#c79bea;--e1:#8ea6ee;--e2:#35b8b2;--e3:#7fdc83;--e4:#fde725}}\n"
    "body{margin:0 auto;padding:1.5rem;max-width:76rem;background:var(--back);color:var(--text);"
    "font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.5rem;margin:0 0 .75rem}h2{font-size:1.15rem;margin:2.25rem 0 .5rem;"
    "overflow-wrap:anywhere}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:0}"
    "dt{color:var(--quiet)}dd{margin:0;overflow-wrap:anywhere}\n"
    "p{color:var(--quiet);max-width:60rem}\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(30rem,100%),1fr));"
    "gap:1.25rem}\n"
    "figure{margin:0}figcaption{font-weight:600;margin-bottom:.25rem}"
    "svg{width:100%;height:auto;display:block}\n"
    "ul.keys{list-style:none;margin:.25rem 0 0;padding:0;display:flex;flex-wrap:wrap;"
    "gap:0 1rem;font-size:.85rem}ul.keys svg{width:1.6em;height:.8em;display:inline-block;"
    "margin-right:.35em}\n"
    ".note{font-size:.85rem;color:var(--quiet);margin:.1rem 0 0}\n"
    "svg text{fill:var(--quiet);font:12px system-ui,sans-serif}"
    "svg .name{fill:var(--text)}.grid{stroke:var(--grid)}.axis{stroke:var(--line);fill:none}"
    ".diagonal{stroke:var(--quiet);stroke-dasharray:2 4}\n"
    ".mark{stroke:currentColor;fill:currentColor;stroke-width:1.5}"
    ".hollow .mark{fill:var(--back)}"
    ".curve{stroke:currentColor;fill:none;stroke-width:1.5}.hollow .curve{stroke-dasharray:5 4}"
    ".strict{opacity:.45}.range{stroke:currentColor;stroke-width:1;opacity:.55}.cloud{opacity:.5}\n"
    ".m-dense{color:var(--dense)}.m-topk{color:var(--topk)}.m-topp{color:var(--topp)}"
    ".m-sample{color:var(--sample)}.m-vattention{color:var(--vattention)}"
    ".m-guided{color:var(--guided)}.e0{color:var(--e0)}.e1{color:var(--e1)}"
    ".e2{color:var(--e2)}.e3{color:var(--e3)}.e4{color:var(--e4)}\n"
    ".table{overflow-x:auto;margin-top:1rem}table{border-collapse:collapse;font-size:.82rem;"
    "font-variant-numeric:tabular-nums;white-space:nowrap}"
    "th,td{padding:.15rem .45rem;text-align:right;border-bottom:1px solid var(--grid)}"
    "th{color:var(--quiet);font-weight:600;border-bottom-color:var(--line)}"
    "td.word,th.word{text-align:left}td.flag{color:var(--flag);font-weight:600}\n";

void html_begin(FILE *stream, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          stream);
    html_text(stream, title);
    fprintf(stream, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<h1>", style);
    html_text(stream, title);
    fputs("</h1>\n", stream);
}

void html_end(FILE *stream)
{
    fputs("</body>\n</html>\n", stream);
}

void html_text(FILE *stream, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '&':
            fputs("&amp;", stream);
            break;
        case '<':
            fputs("&lt;", stream);
            break;
        case '>':
            fputs("&gt;", stream);
            break;
        case '"':
            fputs("&quot;", stream);
            break;
        default:
            fputc((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text, stream);
        }
    }
}

void html_facts_begin(FILE *stream)
{
    fputs("<dl>\n", stream);
}

void html_fact(FILE *stream, const char *name, const char *value)
{
    fputs("<dt>", stream);
    html_text(stream, name);
    fputs("</dt><dd>", stream);
    html_text(stream, value);
    fputs("</dd>\n", stream);
}

void html_facts_end(FILE *stream)
{
    fputs("</dl>\n", stream);
}

/* As a shell would take it back. */
static void write_argument(FILE *stream, const char *argument)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+./:=,@%";

    if (argument[0] != '\0' && argument[strspn(argument, plain)] == '\0') {
        fputs(argument, stream);
        return;
    }
    fputc('\'', stream);
    for (const char *c = argument; *c; c++) {
        const char one[2] = {*c, '\0'};

        html_text(stream, *c == '\'' ? "'\\''" : one);
    }
    fputc('\'', stream);
}

void html_run_facts(FILE *stream, const char *command, const tool_options *options,
                    const vsa_device_info *device)
{
    const uint32_t version = vsa_version();
    const time_t now = time(NULL);
    const struct tm *utc = gmtime(&now);
    char text[64];

    fprintf(stream, "<dt>Command</dt><dd><code>vsa %s", command);
    for (int i = 0; i < options->argument_count; i++) {
        fputc(' ', stream);
        write_argument(stream, options->arguments[i]);
    }
    fputs("</code></dd>\n", stream);
    if (device) {
        html_fact(stream, "Device", device->name);
        html_fact(stream, "Driver", device->driver);
    }
    snprintf(text, sizeof text, "vsa %u.%u.%u", version >> 16, version >> 8 & 0xff, version & 0xff);
    html_fact(stream, "Version", text);
    if (utc && strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", utc) > 0) {
        html_fact(stream, "Date", text);
    }
}
