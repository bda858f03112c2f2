// The style sheet of the report page.
#pragma once

namespace indoubt {

inline constexpr const char* kHtmlStyle = R"css(
:root{color-scheme:light dark;--bg:#fcfcfb;--ink:#16181b;--dim:#5c6168;--grid:#e3e4e6;--axis:#9a9ea4;
--card:#fff;--edge:#dcdee1;--fault:#d6453d22;--faulttext:#a8322b;--bad:#a8322b;--good:#1b7a45;--warn:#8a5a00;
--s0:#2a6fc9;--s1:#d9622b;--s2:#138a63;--s3:#8b4fc0;--s4:#a67c00;--s5:#c23b7a}
@media(prefers-color-scheme:dark){:root{--bg:#15171a;--ink:#eceef0;--dim:#a2a8af;--grid:#2c3035;--axis:#6c727a;
--card:#1b1e22;--edge:#33383e;--fault:#e8625933;--faulttext:#f08c85;--bad:#f08c85;--good:#6fcf97;--warn:#e5b455;
--s0:#6ea8f2;--s1:#f0925f;--s2:#4fc79b;--s3:#bb8ee6;--s4:#d9b23e;--s5:#ee7fb0}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.5rem;margin:0 0 .25rem}h2{font-size:1.15rem;margin:2.4rem 0 .6rem}h3{font-size:1rem;margin:1.4rem 0 .3rem}
.question{color:var(--dim);font-size:1.1rem;margin:0 0 1.2rem;max-width:70ch}
.verdict{background:var(--card);border:1px solid var(--edge);border-left:5px solid var(--s0);padding:.9rem 1.1rem;border-radius:4px}
.verdict.bad{border-left-color:var(--bad)}.verdict.warn{border-left-color:var(--warn)}.verdict.good{border-left-color:var(--good)}
.verdict p{margin:.35rem 0}.verdict p:first-child{font-size:1.12rem;font-weight:600}
.warnings{color:var(--warn)}.note-p{color:var(--dim);font-size:.9rem;max-width:80ch}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.88rem}
th,td{padding:.35rem .65rem;border-bottom:1px solid var(--edge);text-align:right;vertical-align:top}
thead th{color:var(--dim);font-weight:600;vertical-align:bottom;border-bottom:2px solid var(--axis)}
th:first-child,td:first-child,table.text td,table.text th{text-align:left}
tbody th{font-weight:600;white-space:nowrap}
table.wrap th,table.wrap td{white-space:normal;overflow-wrap:anywhere}table.wrap thead th,table.wrap td.pass,table.wrap td.fail,table.wrap td.nodata{white-space:nowrap}
td.pass{color:var(--good)}td.fail{color:var(--bad);font-weight:700}td.nodata{color:var(--warn);font-weight:700}
pre{background:var(--card);border:1px solid var(--edge);padding:.7rem .9rem;overflow-x:auto;border-radius:4px}
figure{margin:1rem 0}figcaption{color:var(--dim);font-size:.9rem}
svg{max-width:100%;height:auto;display:block}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg .tick,svg .note{fill:var(--dim)}svg .note{font-style:italic}svg .panel{font-weight:600}
svg .grid{stroke:var(--grid)}svg .axis{stroke:var(--axis)}svg .mark{stroke:var(--axis);stroke-dasharray:3 3}
svg .fault{fill:var(--fault)}svg .faulttext{fill:var(--faulttext)}
svg .line{fill:none;stroke-width:1.8;stroke-linejoin:round}svg .dashed{stroke-dasharray:5 3;opacity:.8}
svg .mark99{stroke:var(--ink);stroke-width:2}
svg .a,svg .line.s0{stroke:var(--s0)}svg .b,svg .line.s1{stroke:var(--s1)}svg .c,svg .line.s2{stroke:var(--s2)}
svg .line.s3{stroke:var(--s3)}svg .line.s4{stroke:var(--s4)}svg .line.s5{stroke:var(--s5)}
svg .bar.s0{fill:var(--s0)}svg .bar.s1{fill:var(--s1)}svg .bar.s2{fill:var(--s2)}
svg .bar.s3{fill:var(--s3)}svg .bar.s4{fill:var(--s4)}svg .bar.s5{fill:var(--s5)}
/* A picture scaled down to a phone has letters that nobody can read: it scrolls. */
@media(max-width:640px){main{padding:1.25rem .9rem 3rem}svg{max-width:none;width:720px}th,td{padding:.35rem .45rem}}
@media print{:root{--bg:#fff;--ink:#000;--dim:#444;--card:#fff;--grid:#ddd}main{max-width:none;padding:0}
figure,table,.verdict{break-inside:avoid}.scroll{overflow:visible}table{font-size:.66rem}th,td{padding:.2rem .3rem}}
)css";

}  // namespace indoubt
