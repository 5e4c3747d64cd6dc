package isotool

// generalRules are the rules that hold without a profile, by what they say. Their names are those of iso20022.Fault.
const generalRules dictionary = `
file.unreadable the file could not be opened or read to its end
xml.size the document is longer than the limit
xml.encoding the text is UTF-8
xml.version XML is version 1.0
xml.declaration the XML declaration, if there is one, is complete and stands first
xml.doctype there is no DOCTYPE: it could define entities and read files
xml.instruction there is no processing instruction but the XML declaration
xml.root there is one root element
xml.trailing behind the root element there is nothing but white space and comments
xml.end the document is complete
xml.tag tags are formed as XML demands
xml.name names are formed as XML demands
xml.nesting each end tag closes the element that was opened last
xml.text text does not hold ]]>
xml.comment comments are closed and hold no --
xml.character every character is one that XML allows
xml.reference references are to characters or to one of XML's five entities
xml.duplicate an attribute stands once in an element
xml.prefix every prefix is declared
xml.namespace namespaces are declared as XML demands
xml.depth elements are not nested deeper than the limit
xml.elements there are not more elements than the limit
xml.attributes an element has not more attributes than the limit
xml.namespaces there are not more namespace declarations than the limit
schema.unknown the root element, or an element of a wrapper, belongs to an ISO 20022 message with a known schema
schema.root the root element is the one of the schema: Document or AppHdr
schema.element every element is one that the schema has there
schema.missing every element and attribute that the schema demands is there
schema.repeated no element stands more often than the schema allows
schema.order elements stand in the order of the schema
schema.choice of alternatives exactly one stands there
schema.namespace every element belongs to the message's namespace
schema.text between elements there is no text
schema.attribute an element has no attribute that the schema does not know
schema.type xsi:type does not change a type
schema.nil xsi:nil is not used
schema.string the text is a text as XML Schema defines it
schema.decimal the text is a decimal number: digits, a point, a sign; no exponent
schema.boolean the text is true, false, 1 or 0
schema.date the text is a date such as 2026-11-23
schema.dateTime the text is a date and time such as 2026-11-23T10:00:00Z
schema.time the text is a time such as 10:00:00Z
schema.gYear the text is a year such as 2026
schema.gYearMonth the text is a month such as 2026-11
schema.base64Binary the text is base64
schema.enumeration the text is one of the schema's list
schema.pattern the text has the form the schema demands
schema.length the text is as long as the schema demands
schema.minLength the text is not shorter than the schema demands
schema.maxLength the text is not longer than the schema allows
schema.totalDigits the number has not more digits than the schema allows
schema.fractionDigits the number has not more decimals than the schema allows
schema.minInclusive the number is not below the schema's least
model.message the message is one that this decoder reads
model.element every element is one that the payment model can hold: nothing that money depends on is dropped
model.repeated nothing stands twice that the payment model has once
model.missing what a payment needs is there
model.transactions the message has exactly one transaction
model.attribute there is no attribute that the model does not know
model.comment no comment stands inside a value
model.markup no CDATA or comment stands inside a value
model.id an identifier has no space at an end and only allowed characters
model.text a text has only allowed characters and is not empty
model.name a name is 1 to 140 characters without control characters
model.code a code is formed as its set demands
model.choice of alternatives exactly one is given
model.boolean an indicator is true or false
model.time a time is complete and has its zone
model.date a date is a day of the calendar without a zone
model.uetr a UETR is a version 4 UUID in small letters
model.amount an amount is plain digits with exactly the currency's decimals, above zero
model.currency the currency is one of ISO 4217
model.sum sums and numbers of transactions equal what they sum up
model.settlement settlement is by clearing (CLRG)
model.status the status is one that the model knows
model.agent an agent is named by a BIC or by a member id
model.account an account is an IBAN with right check digits or a domestic number
model.country a country is one of ISO 3166
model.supplementary supplementary data is within its limit
wrapper.namespace the wrapper belongs to the rail's namespace
wrapper.element the wrapper holds one AppHdr and one Document in this order, and nothing else
wrapper.text the wrapper holds no text
wrapper.attribute the wrapper has no attribute
wrapper.document the wrapper holds a Document
`
