; What Python's syntax tree says about definitions, scopes, bindings and uses.
; The captures' meaning is the same for every language: see extract.py and scopes.py.

; ---- every occurrence of a name; what follows says more about some of them
(identifier) @site

; ---- definitions with a body: what they are called, and the scope that they open
(class_definition name: (identifier) @name body: (_) @enter) @symbol.class
(function_definition name: (identifier) @name body: (_) @enter) @symbol.function

((decorated_definition
  (decorator [(identifier) @_decorator (attribute attribute: (identifier) @_decorator)])
  definition: (function_definition name: (identifier) @mark.property))
  (#any-of? @_decorator
    "property" "cached_property" "abstractproperty" "setter" "getter" "deleter"))

((decorated_definition
  (decorator [(identifier) @_decorator (attribute attribute: (identifier) @_decorator)])
  definition: (function_definition name: (identifier) @mark.overload))
  (#eq? @_decorator "overload"))

; ---- scopes without a symbol
(lambda body: (_) @enter) @frame.lambda
[(list_comprehension) (set_comprehension) (dictionary_comprehension) (generator_expression)]
  @scope.comprehension
; the first iterable is evaluated outside
[
  (list_comprehension . body: (_) . (for_in_clause right: (_) @leave))
  (set_comprehension . body: (_) . (for_in_clause right: (_) @leave))
  (dictionary_comprehension . body: (_) . (for_in_clause right: (_) @leave))
  (generator_expression . body: (_) . (for_in_clause right: (_) @leave))
]
(class_definition type_parameters: (_)) @scope.type
(function_definition type_parameters: (_)) @scope.type
(type_alias_statement left: (type (generic_type))) @scope.type

; ---- parameters
(parameters (identifier) @bind.parameter)
(lambda_parameters (identifier) @bind.parameter)
(default_parameter name: (identifier) @bind.parameter)
(typed_default_parameter name: (identifier) @bind.parameter)
(typed_parameter . (identifier) @bind.parameter)
(typed_parameter . (list_splat_pattern (identifier) @bind.parameter))
(parameters (list_splat_pattern (identifier) @bind.parameter))
(lambda_parameters (list_splat_pattern (identifier) @bind.parameter))
(dictionary_splat_pattern (identifier) @bind.parameter)
(parameters (tuple_pattern (identifier) @bind.parameter))
(lambda_parameters (tuple_pattern (identifier) @bind.parameter))
(_ type_parameters: (type_parameter (type [
  (identifier) @bind.local
  (splat_type (identifier) @bind.local)
  (constrained_type . (type (identifier) @bind.local))
])))
(type_alias_statement left: (type (generic_type (type_parameter (type [
  (identifier) @bind.local
  (splat_type (identifier) @bind.local)
  (constrained_type . (type (identifier) @bind.local))
])))))

; ---- assignments: variables of modules and classes, locals elsewhere
(assignment left: (identifier) @bind.variable)
(assignment left: [(pattern_list) (tuple_pattern) (list_pattern)] @targets.variable)
(named_expression name: (identifier) @bind.hoisted) @statement
(type_alias_statement left: (type [
  (identifier) @bind.alias
  (generic_type . (identifier) @bind.alias)
])) @statement
((assignment
  left: (identifier) @bind.alias
  type: (type [(identifier) @_type (attribute attribute: (identifier) @_type)]))
  (#eq? @_type "TypeAlias"))
(augmented_assignment left: (identifier) @bind.again)
[(assignment) (augmented_assignment) (for_statement) (with_statement)] @statement

; ---- other targets
[(for_statement left: (identifier) @bind.local) (for_in_clause left: (identifier) @bind.local)]
(as_pattern_target [
  (identifier) @bind.local
  (tuple [(identifier) @bind.local (list_splat (identifier) @bind.local)])
  (list [(identifier) @bind.local (list_splat (identifier) @bind.local)])
  (tuple (tuple [(identifier) @bind.local (list_splat (identifier) @bind.local)]))
])
[
  (pattern_list (identifier) @bind.target)
  (tuple_pattern (identifier) @bind.target)
  (list_pattern (identifier) @bind.target)
  (pattern_list (list_splat_pattern (identifier) @bind.target))
  (tuple_pattern (list_splat_pattern (identifier) @bind.target))
  (list_pattern (list_splat_pattern (identifier) @bind.target))
]
(delete_statement [
  (identifier) @bind.delete
  (expression_list (identifier) @bind.delete)
  (expression_list (tuple (identifier) @bind.delete))
  (tuple (identifier) @bind.delete)
  (list (identifier) @bind.delete)
])
(global_statement (identifier) @bind.global)
(nonlocal_statement (identifier) @bind.nonlocal)

; ---- match statements: a bare name captures, a dotted one is a use
(case_pattern (dotted_name . (identifier) @bind.local .))
(union_pattern (dotted_name . (identifier) @bind.local .))
(keyword_pattern (dotted_name . (identifier) @bind.local .))
(splat_pattern (identifier) @bind.local)
(case_pattern (as_pattern (identifier) @bind.local .))
(keyword_pattern . (identifier) @skip)

; ---- imports
(import_statement name: (dotted_name (identifier) @site.import))
(import_statement name: (aliased_import name: (dotted_name (identifier) @site.import)))
(import_from_statement module_name: (dotted_name (identifier) @site.import))
(import_from_statement module_name: (relative_import (dotted_name (identifier) @site.import)))
(import_from_statement name: (dotted_name (identifier) @site.import))
(import_from_statement name: (aliased_import name: (dotted_name (identifier) @site.import)))
(import_statement name: (dotted_name . (identifier) @bind.import))
(import_from_statement name: (dotted_name (identifier) @bind.import))
(aliased_import name: (dotted_name (identifier) @renamed .) alias: (identifier) @bind.import.renaming)
(wildcard_import) @import.all
[(import_statement) (import_from_statement)] @import.statement
(import_statement name: [(dotted_name) @import.item (aliased_import name: (dotted_name) @import.item)])
(import_from_statement name: [(dotted_name) @import.item (aliased_import name: (dotted_name) @import.item)])
(import_from_statement module_name: (dotted_name) @import.source)
(import_from_statement module_name: (relative_import) @import.source)
(future_import_statement name: (dotted_name (identifier) @skip))
(future_import_statement name: (dotted_name (identifier) @bind.import))

; ---- what a use is there for
(attribute attribute: (identifier) @site.member)
(member_type (identifier) @site.member)
(dotted_name (identifier) . (identifier) @site.member)
(call function: (identifier) @site.call)
(call function: (attribute attribute: (identifier) @site.member.call))
(decorator (identifier) @site.call)
(decorator (attribute attribute: (identifier) @site.member.call))
(class_definition superclasses: (argument_list [
  (identifier) @site.inherit
  (subscript value: (identifier) @site.inherit)
  (attribute attribute: (identifier) @site.member.inherit)
  (subscript value: (attribute attribute: (identifier) @site.member.inherit))
]))
(keyword_argument name: (identifier) @skip)

; ---- what stands under a condition, and texts that a definition's face does not take in
[
  (if_statement) (elif_clause) (else_clause) (for_statement) (while_statement) (with_statement)
  (try_statement) (except_clause) (finally_clause) (match_statement) (case_clause)
] @branch
(block) @arm @aligned
(module) @aligned
[(elif_clause) (else_clause) (except_clause) (finally_clause)] @clause
(decorated_definition [(decorator) (class_definition) (function_definition)] @clause)
(try_statement) @continued
[(except_clause) (finally_clause)] @continues
(comment) @comment
(decorated_definition) @decorated
(function_definition parameters: (parameters) @parameters)
(decorator [(identifier) @applied (attribute attribute: (identifier) @applied)])

; ---- where a module may end early
[(raise_statement) (assert_statement)] @ends
(expression_statement (call function: [
  (identifier) @ends.call
  (attribute attribute: (identifier) @ends.call)
]))

; ---- texts that are read as types, and those that are not though they stand in one
(type (string (string_content) @quoted))
(type (binary_operator [
  left: (string (string_content) @quoted)
  right: (string (string_content) @quoted)
]))
(type (subscript subscript: (string (string_content) @quoted)))
((subscript
  value: (attribute attribute: (identifier) @_generic)
  subscript: (string (string_content) @unquoted))
  (#eq? @_generic "Literal"))
((subscript
  value: (attribute attribute: (identifier) @_generic)
  subscript: (_) subscript: (string (string_content) @unquoted))
  (#eq? @_generic "Annotated"))
((generic_type (identifier) @_generic (type_parameter (type (string (string_content) @unquoted))))
  (#eq? @_generic "Literal"))
((generic_type (identifier) @_generic
  (type_parameter . (type) (type (string (string_content) @unquoted))))
  (#eq? @_generic "Annotated"))
((call
  function: [(identifier) @_cast (attribute attribute: (identifier) @_cast)]
  arguments: (argument_list . (string (string_content) @quoted)))
  (#eq? @_cast "cast"))
((call
  function: [(identifier) @_variable (attribute attribute: (identifier) @_variable)]
  arguments: (argument_list
    (keyword_argument name: (identifier) @_bound value: (string (string_content) @quoted))))
  (#eq? @_variable "TypeVar")
  (#eq? @_bound "bound"))

; ---- attributes that are set
[
  (assignment left: (attribute attribute: (identifier) @sets))
  (augmented_assignment left: (attribute attribute: (identifier) @sets))
  (for_statement left: (attribute attribute: (identifier) @sets))
  (pattern_list (attribute attribute: (identifier) @sets))
  (tuple_pattern (attribute attribute: (identifier) @sets))
  (list_pattern (attribute attribute: (identifier) @sets))
  (as_pattern_target (attribute attribute: (identifier) @sets))
]

; ---- what the module says that it exports
((assignment left: (identifier) @_all right: [
  (list (string (string_content) @export))
  (tuple (string (string_content) @export))
  (binary_operator (list (string (string_content) @export)))
])
  (#eq? @_all "__all__"))
((augmented_assignment left: (identifier) @_all right: [
  (list (string (string_content) @export))
  (tuple (string (string_content) @export))
])
  (#eq? @_all "__all__"))
((expression_statement (call
  function: (attribute object: (identifier) @_all attribute: (identifier) @_method)
  arguments: (argument_list [
    (string (string_content) @export)
    (list (string (string_content) @export))
    (tuple (string (string_content) @export))
  ])))
  (#eq? @_all "__all__")
  (#any-of? @_method "extend" "append"))
