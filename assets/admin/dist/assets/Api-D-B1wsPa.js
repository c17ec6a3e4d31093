import{$ as e,Bt as t,Dt as n,Et as r,Ft as i,J as a,Jt as o,M as s,Nt as c,Ot as l,Tt as u,Vt as d,X as f,Zt as p,bt as m,ct as h,h as g,it as _,jt as v,kt as y,l as ee,lt as b,mt as x,nt as S,q as C,qt as w,rt as T,st as E,u as te}from"./theme.svelte-DXTxZMah.js";import{r as D}from"./api-W1v9uYIo.js";import{C as O,S as k,i as A,p as ne,r as j,w as M}from"./main-CqwxunKp.js";import{t as re}from"./Badge-DBVyRAf9.js";import{t as N}from"./Page-xnicaWjR.js";import{t as P}from"./Tabs-CMoc6--Q.js";import{c as F,i as I,l as L,o as R,s as z}from"./kinds-C5bwCLh6.js";function ie(e,t,n){let r=z(e,t),i=Object.entries(r).find(([e,t])=>!/^(email|password|passwordConfirm)$/.test(e)&&[`string`,`number`,`boolean`].includes(typeof t)),a=e.fields.filter(({hidden:e,type:t})=>!e&&t!==`password`),o=a.find(({name:e,type:t})=>e!==`id`&&[`select`,`text`,`bool`,`number`,`email`].includes(t))??a.find(({name:e})=>e===`id`),s=a.find(({type:e})=>e===`autodate`)??a.find(({type:e})=>e===`date`),c=e.type===`auth`?e:void 0,l=c?.passwordAuth?.identityFields?.[0]??`email`;return{base:n,collection:e,create:r,update:i?{[i[0]]:i[1]}:{},files:L(e).filter(({type:e})=>e===`file`).slice(0,2).map(({name:e,maxSelect:t})=>({name:e,several:Number(t)>1})),filter:o?`${o.name} = ${B(F(o,t))}`:`id != ''`,sort:s?`-${s.name}`:`-@rowid`,expand:a.find(({type:e})=>e===`relation`)?.name,identity:{field:l,value:l===`email`?`ada@example.com`:`ada`},provider:c?.oauth2?.providers?.[0]?.name??`google`}}function B(e){let t=Array.isArray(e)?e[0]:e;return typeof t==`string`?`"${t.replace(/["\\]/g,`\\$&`)}"`:String(t)}function V(e,t){let n=`/api/collections/${encodeURIComponent(e.name)}/records`,r={status:200,body:R(e,t)},i=e.fields.some(({type:e})=>e===`file`),a=[{id:`list`,requests:[{method:`GET`,path:n}],rule:`listRule`,params:[`page`,`perPage`,`sort`,`filter`,`expand`,`fields`,`skipTotal`],answer:{status:200,body:{page:1,perPage:30,totalItems:1,totalPages:1,items:[r.body]}}},{id:`view`,requests:[{method:`GET`,path:`${n}/RECORD_ID`}],rule:`viewRule`,params:[`expand`,`fields`],answer:r}];return e.type!==`view`&&a.push({id:`create`,requests:[{method:`POST`,path:n}],rule:`createRule`,params:[`expand`,`fields`],answer:r},{id:`update`,requests:[{method:`PATCH`,path:`${n}/RECORD_ID`}],rule:`updateRule`,params:[`expand`,`fields`],answer:r},{id:`delete`,requests:[{method:`DELETE`,path:`${n}/RECORD_ID`}],rule:`deleteRule`,params:[],answer:{status:204,body:null}}),e.type===`auth`&&a.push(...H(e,t)),e.type!==`view`&&(a.push({id:`realtime`,requests:[{method:`GET`,path:`/api/realtime`},{method:`POST`,path:`/api/realtime`}],params:[],answer:{status:200,body:{action:`update`,record:r.body}}}),a.push({id:`batch`,requests:[{method:`POST`,path:`/api/batch`}],params:[],answer:{status:200,body:[{status:200,body:r.body}]}})),i&&a.push({id:`files`,requests:[{method:`GET`,path:`/api/files/${encodeURIComponent(e.name)}/RECORD_ID/FILENAME`}],rule:`viewRule`,params:[`thumb`,`token`,`download`],answer:{status:200,body:null}}),a}function H(e,t){if(e.type!==`auth`)return[];let n=`/api/collections/${encodeURIComponent(e.name)}`,r={status:200,body:{token:`eyJhbGciOiJIUzI1NiJ9…`,record:R(e,t)}},i={status:204,body:null},a=(...e)=>e.map(e=>({method:`POST`,path:`${n}/${e}`})),{passwordAuth:o,oauth2:s,otp:c,mfa:l}=e,u=[{id:`methods`,requests:[{method:`GET`,path:`${n}/auth-methods`}],params:[`fields`],answer:{status:200,body:{password:{enabled:!!o?.enabled,identityFields:o?.identityFields??[]},oauth2:{enabled:!!s?.enabled,providers:(s?.providers??[]).map(({name:e})=>({name:e}))},mfa:{enabled:!!l?.enabled,duration:l?.duration??0},otp:{enabled:!!c?.enabled,duration:c?.duration??0}}}}],d=[[!!o?.enabled,`password`,[`auth-with-password`]],[!!s?.enabled,`oauth2`,[`auth-with-oauth2`]],[!!c?.enabled,`otp`,[`request-otp`,`auth-with-otp`]]];for(let[e,t,n]of d)e&&u.push({id:t,requests:a(...n),rule:`authRule`,params:[`expand`,`fields`],answer:r});return u.push({id:`refresh`,requests:a(`auth-refresh`),params:[`expand`,`fields`],answer:r}),u.push({id:`verification`,requests:a(`request-verification`,`confirm-verification`),params:[],answer:i}),o?.enabled&&u.push({id:`passwordReset`,requests:a(`request-password-reset`,`confirm-password-reset`),params:[],answer:i}),u.push({id:`emailChange`,requests:a(`request-email-change`,`confirm-email-change`),params:[],answer:i}),u}var ae=(e,{rule:t})=>t?I(e,t):void 0,U=e=>`'${e.replaceAll(`'`,`'\\''`)}'`;function W({base:e},{method:t=`GET`,path:n,body:r,query:i,forms:a=[],signedIn:o=!1}){let s=[`curl${t===`GET`?i?` --get`:``:` -X ${t}`} ${U(`${e}${n}`)}`];if(o&&s.push(`-H "Authorization: $TOKEN"`),a.length)for(let e of a)s.push(`${/^\w+=@\/path/.test(e)?`--form`:`--form-string`} ${U(e)}`);for(let[e,t]of Object.entries(i??{}))s.push(`--data-urlencode ${U(`${e}=${t}`)}`);return r!==void 0&&!a.length&&s.push(`-H 'Content-Type: application/json'`,`-d ${U(JSON.stringify(r,null,2))}`),s.join(` \\
  `)}var G=({collection:e})=>`/api/collections/${encodeURIComponent(e.name)}/records`,K=({collection:e},t)=>`/api/collections/${encodeURIComponent(e.name)}/${t}`,q=(e,t,n,r=!1)=>W(e,{method:`POST`,path:K(e,t),body:n,signedIn:r});function oe(e,t){return J[e](t)}var J={list:e=>W(e,{path:G(e),signedIn:!0,query:{filter:e.filter,sort:e.sort,...e.expand?{expand:e.expand}:{},perPage:`30`}}),view:e=>W(e,{path:`${G(e)}/RECORD_ID`,signedIn:!0,query:e.expand?{expand:e.expand}:void 0}),create:e=>W(e,{method:`POST`,path:G(e),signedIn:!0,body:e.create,forms:e.files.length?[`@jsonPayload=${JSON.stringify(e.create)}`,...e.files.map(({name:e})=>`${e}=@/path/to/file`)]:[]}),update:e=>W(e,{method:`PATCH`,path:`${G(e)}/RECORD_ID`,signedIn:!0,body:e.update}),delete:e=>W(e,{method:`DELETE`,path:`${G(e)}/RECORD_ID`,signedIn:!0}),realtime:e=>`# The stream; its first event holds the clientId.
curl -N ${U(`${e.base}/api/realtime`)}

# What it is to tell of, in another shell.
${W(e,{method:`POST`,path:`/api/realtime`,signedIn:!0,body:{clientId:`CLIENT_ID`,subscriptions:[`${e.collection.name}/*`]}})}`,batch:e=>W(e,{method:`POST`,path:`/api/batch`,signedIn:!0,body:{requests:[{method:`POST`,url:G(e),body:e.create},{method:`PATCH`,url:`${G(e)}/RECORD_ID`,body:e.update},{method:`DELETE`,url:`${G(e)}/OTHER_ID`}]}}),files:e=>`${W(e,{path:`/api/files/${encodeURIComponent(e.collection.name)}/RECORD_ID/FILENAME`})} -O

# Of a protected file: a token that lives for a few minutes.
${W(e,{method:`POST`,path:`/api/files/token`,signedIn:!0})}
curl -O ${U(`${e.base}/api/files/${encodeURIComponent(e.collection.name)}/RECORD_ID/FILENAME?token=FILE_TOKEN`)}`,methods:e=>W(e,{path:K(e,`auth-methods`)}),password:e=>q(e,`auth-with-password`,{identity:e.identity.value,password:`a-long-password`}),oauth2:e=>`# After the provider has sent the browser back with a code.
${q(e,`auth-with-oauth2`,{provider:e.provider,code:`CODE`,codeVerifier:`VERIFIER`,redirectURL:`${e.base}/api/oauth2-redirect`})}`,otp:e=>`${q(e,`request-otp`,{email:`ada@example.com`})}

# With the code from the mail.
${q(e,`auth-with-otp`,{otpId:`OTP_ID`,password:`123456`})}`,refresh:e=>W(e,{method:`POST`,path:K(e,`auth-refresh`),signedIn:!0}),verification:e=>`${q(e,`request-verification`,{email:`ada@example.com`})}

# With the token from the mail.
${q(e,`confirm-verification`,{token:`TOKEN`})}`,passwordReset:e=>`${q(e,`request-password-reset`,{email:`ada@example.com`})}

# With the token from the mail.
${q(e,`confirm-password-reset`,{token:`TOKEN`,password:`a-new-password`,passwordConfirm:`a-new-password`})}`,emailChange:e=>`# By whoever is signed in.
${q(e,`request-email-change`,{newEmail:`new@example.com`},!0)}

# With the token from the mail.
${q(e,`confirm-email-change`,{token:`TOKEN`,password:`a-long-password`})}`},Y=e=>JSON.stringify(e).replaceAll(`$`,`\\$`);function X(e,t=``){if(typeof e==`string`)return Y(e);if(Array.isArray(e))return`[${e.map(e=>X(e,t)).join(`, `)}]`;if(typeof e!=`object`||!e)return JSON.stringify(e)??`null`;let n=`${t}  `,r=Object.entries(e).map(([e,t])=>`${n}${Y(e)}: ${X(t,n)},`);return r.length?`{\n${r.join(`
`)}\n${t}}`:`{}`}function se(e,t){return`${e===`create`&&t.files.length?`import 'package:http/http.dart' as http;
`:``}import 'package:pocketbase/pocketbase.dart';\n${e===`oauth2`?`import 'package:url_launcher/url_launcher.dart';
`:``}
final pb = PocketBase(${Y(t.base)});\n\n${le[e](t)}`}var Z=({collection:e})=>`pb.collection(${Y(e.name)})`,ce=e=>e.expand?`\n  expand: ${Y(e.expand)},`:``,le={list:e=>`// A page, 30 records each.
final page = await ${Z(e)}.getList(
  page: 1,
  perPage: 30,
  filter: pb.filter(${Y(e.filter.replace(/= .*$/,`= {:value}`))}, {"value": ${e.filter.replace(/^.*?= /,``).replaceAll(`$`,`\\$`)}}),
  sort: ${Y(e.sort)},${ce(e)}
);

// All of them.
final records = await ${Z(e)}.getFullList(sort: ${Y(e.sort)});

// The first that fits.
final first = await ${Z(e)}.getFirstListItem(${Y(e.filter)});`,view:e=>`final record = await ${Z(e)}.getOne("RECORD_ID"${e.expand?`, expand: ${Y(e.expand)}`:``});`,create:e=>{let t=e.files.map(({name:e})=>`\n    await http.MultipartFile.fromPath(${Y(e)}, "/path/to/file"),`).join(``);return`final record = await ${Z(e)}.create(
  body: ${X(e.create,`  `)},${t?`\n  files: [${t}\n  ],`:``}
);`},update:e=>`final record = await ${Z(e)}.update("RECORD_ID", body: ${X(e.update)});`,delete:e=>`await ${Z(e)}.delete("RECORD_ID");`,realtime:e=>`// All records; "RECORD_ID" instead of "*" for one.
final stop = await ${Z(e)}.subscribe("*", (event) {
  print("\${event.action} \${event.record}");
});

await stop();`,batch:e=>`final batch = pb.createBatch();

batch.collection(${Y(e.collection.name)}).create(body: ${X(e.create)});
batch.collection(${Y(e.collection.name)}).update("RECORD_ID", body: ${X(e.update)});
batch.collection(${Y(e.collection.name)}).delete("OTHER_ID");

// All of it, or none.
final results = await batch.send();`,files:e=>{let t=e.files[0]??{name:`file`,several:!1},n=t.several?`record.get<List<String>>(${Y(t.name)}).first`:`record.get<String>(${Y(t.name)})`;return`final record = await ${Z(e)}.getOne("RECORD_ID");
final url = pb.files.getURL(record, ${n}, thumb: "100x250");

// Of a protected file: a token that lives for a few minutes.
final token = await pb.files.getToken();
final secret = pb.files.getURL(record, ${n}, token: token);`},methods:e=>`final methods = await ${Z(e)}.listAuthMethods();`,password:e=>`final auth = await ${Z(e)}.authWithPassword(${Y(e.identity.value)}, "a-long-password");

// Signed in from now on.
print("\${pb.authStore.isValid} \${auth.record.id}");

pb.authStore.clear();`,oauth2:e=>`final auth = await ${Z(e)}.authWithOAuth2(${Y(e.provider)}, (url) async {
  await launchUrl(url);
});`,otp:e=>`final request = await ${Z(e)}.requestOTP("ada@example.com");

// With the code from the mail.
final auth = await ${Z(e)}.authWithOTP(request.otpId, "123456");`,refresh:e=>`// A fresh token for whoever is signed in.
final auth = await ${Z(e)}.authRefresh();`,verification:e=>`await ${Z(e)}.requestVerification("ada@example.com");

// With the token from the mail.
await ${Z(e)}.confirmVerification("TOKEN");`,passwordReset:e=>`await ${Z(e)}.requestPasswordReset("ada@example.com");

// With the token from the mail.
await ${Z(e)}.confirmPasswordReset("TOKEN", "a-new-password", "a-new-password");`,emailChange:e=>`// By whoever is signed in.
await ${Z(e)}.requestEmailChange("new@example.com");

// With the token from the mail.
await ${Z(e)}.confirmEmailChange("TOKEN", "a-long-password");`};function Q(e,t=``){if(Array.isArray(e))return`[${e.map(e=>Q(e,t)).join(`, `)}]`;if(typeof e!=`object`||!e)return JSON.stringify(e)??`undefined`;let n=`${t}    `,r=Object.entries(e).map(([e,t])=>`${n}${/^[A-Za-z_$][\w$]*$/.test(e)?e:JSON.stringify(e)}: ${Q(t,n)},`);return r.length?`{\n${r.join(`
`)}\n${t}}`:`{}`}function ue(e,t){return`${de(t)}\n${me[e](t)}`}var de=({base:e})=>`import PocketBase from "pocketbase";\n\nconst pb = new PocketBase(${JSON.stringify(e)});\n`,$=({collection:e})=>`pb.collection(${JSON.stringify(e.name)})`,fe=e=>e.expand?`\n    expand: ${JSON.stringify(e.expand)},`:``;function pe(e){let t=e.files.map(({name:e,several:t})=>[e,t?`[...fileInput.files]`:`fileInput.files[0]`]),n=Q(e.create);if(!t.length)return n;let r=t.map(([e,t])=>`    ${/^[A-Za-z_$][\w$]*$/.test(e)?e:JSON.stringify(e)}: ${t},`).join(`
`);return n===`{}`?`{\n${r}\n}`:n.replace(/\n}$/,`\n${r}\n}`)}var me={list:e=>`// A page, 30 records each.
const page = await ${$(e)}.getList(1, 30, {
    filter: pb.filter(${JSON.stringify(e.filter.replace(/= .*$/,`= {:value}`))}, { value: ${e.filter.replace(/^.*?= /,``)} }),
    sort: ${JSON.stringify(e.sort)},${fe(e)}
});

// All of them.
const records = await ${$(e)}.getFullList({ sort: ${JSON.stringify(e.sort)} });

// The first that fits.
const first = await ${$(e)}.getFirstListItem(${JSON.stringify(e.filter)});`,view:e=>`const record = await ${$(e)}.getOne("RECORD_ID"${e.expand?`, { expand: ${JSON.stringify(e.expand)} }`:``});`,create:e=>`const record = await ${$(e)}.create(${pe(e)});`,update:e=>`const record = await ${$(e)}.update("RECORD_ID", ${Q(e.update)});`,delete:e=>`await ${$(e)}.delete("RECORD_ID");`,realtime:e=>`// All records; "RECORD_ID" instead of "*" for one.
await ${$(e)}.subscribe("*", ({ action, record }) => {
    console.log(action, record);
});

await ${$(e)}.unsubscribe("*");`,batch:e=>`const batch = pb.createBatch();

batch.collection(${JSON.stringify(e.collection.name)}).create(${Q(e.create)});
batch.collection(${JSON.stringify(e.collection.name)}).update("RECORD_ID", ${Q(e.update)});
batch.collection(${JSON.stringify(e.collection.name)}).delete("OTHER_ID");

// All of it, or none.
const results = await batch.send();`,files:e=>{let t=e.files[0]??{name:`file`,several:!1},n=`record[${JSON.stringify(t.name)}]${t.several?`[0]`:``}`;return`const record = await ${$(e)}.getOne("RECORD_ID");
const url = pb.files.getURL(record, ${n}, { thumb: "100x250" });

// Of a protected file: a token that lives for a few minutes.
const token = await pb.files.getToken();
const secret = pb.files.getURL(record, ${n}, { token });`},methods:e=>`const methods = await ${$(e)}.listAuthMethods();`,password:e=>`const { token, record } = await ${$(e)}.authWithPassword(${JSON.stringify(e.identity.value)}, "a-long-password");

// Signed in from now on.
console.log(pb.authStore.isValid, pb.authStore.record.id);

pb.authStore.clear();`,oauth2:e=>`// Opens a window of the provider; call it in a click.
const { token, record } = await ${$(e)}.authWithOAuth2({ provider: ${JSON.stringify(e.provider)} });`,otp:e=>`const { otpId } = await ${$(e)}.requestOTP("ada@example.com");

// With the code from the mail.
const { token, record } = await ${$(e)}.authWithOTP(otpId, "123456");`,refresh:e=>`// A fresh token for whoever is signed in.
const { token, record } = await ${$(e)}.authRefresh();`,verification:e=>`await ${$(e)}.requestVerification("ada@example.com");

// With the token from the mail.
await ${$(e)}.confirmVerification("TOKEN");`,passwordReset:e=>`await ${$(e)}.requestPasswordReset("ada@example.com");

// With the token from the mail.
await ${$(e)}.confirmPasswordReset("TOKEN", "a-new-password", "a-new-password");`,emailChange:e=>`// By whoever is signed in.
await ${$(e)}.requestEmailChange("new@example.com");

// With the token from the mail.
await ${$(e)}.confirmEmailChange("TOKEN", "a-long-password");`},he=_(`<li><a class="svelte-1l796ha"> </a></li>`),ge=_(`<div class="request svelte-1l796ha"><!><code dir="ltr" class="svelte-1l796ha"> </code></div>`),_e=_(`<p class="svelte-1l796ha"> </p>`),ve=_(`<code class="text svelte-1l796ha" dir="ltr"> </code>`),ye=_(`<div class="card rule svelte-1l796ha"><div class="row apart"><h3 class="svelte-1l796ha"> </h3><!></div> <!></div>`),be=_(`<button type="button" role="tab" aria-controls="code" class="svelte-1l796ha"> </button>`),xe=_(`<div class="svelte-1l796ha"><dt><code> </code></dt><dd class="svelte-1l796ha"> </dd></div>`),Se=_(`<h3 class="svelte-1l796ha"> </h3> <dl class="svelte-1l796ha"></dl>`,1),Ce=_(`<p class="soft svelte-1l796ha"> </p>`),we=_(`<article class="stack" aria-labelledby="action"><h2 id="action" class="svelte-1l796ha"> </h2> <p class="svelte-1l796ha"> </p> <div class="stack requests svelte-1l796ha"></div> <!> <div class="languages svelte-1l796ha" role="tablist"></div> <div id="code" role="tabpanel"><!></div> <!> <h3 class="svelte-1l796ha"> <!></h3> <!></article>`),Te=_(`<div class="columns svelte-1l796ha"><nav class="svelte-1l796ha"><ul class="plain svelte-1l796ha"></ul></nav> <!></div>`);function Ee(h,_){d(_,!0);let F={javascript:`JavaScript`,dart:`Dart`,curl:`curl`},I={javascript:ue,dart:se,curl:oe},L=i(()=>M.path[1]??``),R=i(()=>A.find(x(L))),z=i(()=>x(R)?V(x(R),A.all):[]),B=i(()=>x(z).find(({id:e})=>e===M.query.get(`action`))??x(z)[0]),H=localStorage.getItem(`conch.api.language`),U=c(y(H===`dart`||H===`curl`?H:`javascript`)),W=i(()=>x(R)&&x(B)?I[x(U)](x(B).id,ie(x(R),A.all,D)):``),G=i(()=>x(R)&&x(B)?ae(x(R),x(B)):void 0);function K({id:e}){O(k(`collections`,x(L),`api`,{action:e}))}function q(e){v(U,e,!0),localStorage.setItem(`conch.api.language`,e)}var J=T(),Y=r(J),X=t=>{{let c=e=>{P(e,{get name(){return x(L)},current:`api`})},d=i(()=>g(`rules.api.lead`));N(t,{get title(){return x(R).name},get lead(){return x(d)},tabs:c,children:(t,c)=>{var d=Te(),h=u(d),_=u(h);C(_,21,()=>x(z),e=>e.id,(t,r)=>{var i=he(),a=u(i),c=n(a,!0);o(i),m((t,n)=>{s(a,`href`,t),s(a,`aria-current`,x(r).id===x(B)?.id?`true`:void 0),e(c,n)},[()=>k(`collections`,x(L),`api`,{action:x(r).id}),()=>g(`rules.api.${x(r).id}`)]),b(`click`,a,e=>{e.preventDefault(),K(x(r))}),S(t,i)}),o(_),o(h);var v=l(h,2),y=t=>{var c=we(),d=u(c),h=n(d,!0),_=l(d,2),v=n(_,!0),y=l(_,2);C(y,21,()=>x(B).requests,a,(t,r)=>{let a=()=>x(r).method,s=()=>x(r).path;var c=ge(),d=u(c);{let t=i(()=>a()===`GET`?`good`:a()===`DELETE`?`error`:`accent`);re(d,{get kind(){return x(t)},children:(t,n)=>{w();var r=E();m(()=>e(r,a())),S(t,r)},$$slots:{default:!0}})}var f=l(d),p=n(f,!0);o(c),m(()=>{e(p,s()),f.dir=f.dir}),S(t,c)}),o(y);var T=l(y,2),te=t=>{var r=ye(),a=u(r),s=u(a),c=n(s,!0),d=l(s);{let t=i(()=>k(`collections`,x(L),`rules`));ee(d,{size:`small`,get href(){return x(t)},children:(t,n)=>{w();var r=E();m(t=>e(r,t),[()=>g(`rules.api.change`)]),S(t,r)},$$slots:{default:!0}})}o(a);var p=l(a,2),h=t=>{var r=_e(),i=n(r,!0);m(t=>e(i,t),[()=>g(x(B).rule===`authRule`?`rules.mode.nobody`:`rules.mode.locked`)]),S(t,r)},_=t=>{var r=_e(),i=n(r,!0);m(t=>e(i,t),[()=>g(`rules.mode.public`)]),S(t,r)},v=t=>{var r=ve(),i=n(r,!0);m(t=>{e(i,t),r.dir=r.dir},[()=>x(G)?.slice(0,2e3)]),S(t,r)};f(p,e=>{x(G)===null?e(h):x(G)===``?e(_,1):e(v,-1)}),o(r),m(t=>e(c,t),[()=>g(`rules.api.who`)]),S(t,r)};f(T,e=>{x(B).rule&&e(te)});var D=l(T,2);C(D,21,()=>Object.entries(F),([e,t])=>e,(t,r)=>{var a=i(()=>p(x(r),2));let o=()=>x(a)[0],c=()=>x(a)[1];var l=be(),u=n(l,!0);m(()=>{s(l,`id`,`tab-${o()??``}`),s(l,`aria-selected`,o()===x(U)),s(l,`tabindex`,o()===x(U)?0:-1),e(u,c())}),b(`click`,l,()=>q(o())),b(`keydown`,l,e=>{let t=Object.keys(F),n=e.key===`ArrowRight`?1:e.key===`ArrowLeft`?-1:0,r=t[(t.indexOf(x(U))+n+t.length)%t.length];n&&r&&(e.preventDefault(),q(r),document.getElementById(`tab-${r}`)?.focus())}),S(t,l)}),o(D);var O=l(D,2),A=u(O);ne(A,{get text(){return x(W)},get label(){return F[x(U)]}}),o(O);var j=l(O,2),M=t=>{var i=Se(),a=r(i),s=n(a,!0),c=l(a,2);C(c,20,()=>x(B).params,e=>e,(t,r)=>{var i=xe(),a=u(i),s=u(a),c=n(s,!0);o(a);var d=l(a),f=n(d,!0);o(i),m(t=>{e(c,r),e(f,t)},[()=>g(`rules.api.param.${r}`)]),S(t,i)}),o(c),m(t=>e(s,t),[()=>g(`rules.api.params`)]),S(t,i)};f(j,e=>{x(B).params.length&&e(M)});var N=l(j,2),P=u(N,!0),I=l(P),R=t=>{re(t,{kind:`good`,children:(t,n)=>{w();var r=E();m(()=>e(r,x(B).answer.status)),S(t,r)},$$slots:{default:!0}})};f(I,e=>{x(B).id!==`realtime`&&e(R)}),o(N);var z=l(N,2),ie=e=>{{let t=i(()=>JSON.stringify(x(B).answer.body,null,2)),n=i(()=>g(`rules.api.answer`));ne(e,{get text(){return x(t)},get label(){return x(n)}})}},V=t=>{var r=Ce(),i=n(r,!0);m(t=>e(i,t),[()=>g(x(B).id===`files`?`rules.api.file`:`rules.api.nothing`)]),S(t,r)};f(z,e=>{x(B).answer.body===null?e(V,-1):e(ie)}),o(c),m((t,n,r,i)=>{e(h,t),e(v,n),s(D,`aria-label`,r),s(O,`aria-labelledby`,`tab-${x(U)??``}`),e(P,i)},[()=>g(`rules.api.${x(B).id}`),()=>g(`rules.api.${x(B).id}.text`),()=>g(`rules.api.language`),()=>g(x(B).id===`realtime`?`rules.api.event`:`rules.api.answer`)]),S(t,c)};f(v,e=>{x(B)&&e(y)}),o(d),m(e=>s(h,`aria-label`,e),[()=>g(`rules.api.actions`)]),S(t,d)},$$slots:{tabs:!0,default:!0}})}},Z=t=>{N(t,{get title(){return x(L)},children:(t,n)=>{{let n=t=>{{let n=i(()=>k(`collections`));ee(t,{get href(){return x(n)},children:(t,n)=>{w();var r=E();m(t=>e(r,t),[()=>g(`nav.collections`)]),S(t,r)},$$slots:{default:!0}})}},r=i(()=>g(`rules.missing`,{name:x(L).slice(0,80)}));j(t,{get title(){return x(r)},actions:n,$$slots:{actions:!0}})}},$$slots:{default:!0}})},ce=e=>{N(e,{get title(){return x(L)},children:(e,t)=>{te(e,{size:24})},$$slots:{default:!0}})};f(Y,e=>{x(R)?e(X):A.loaded?e(Z,1):e(ce,-1)}),S(h,J),t()}h([`click`,`keydown`]);export{Ee as default};